//! Web sites: from a request's host and path to what is answered, without looking anything up.
//!
//! A [`SiteRequest`] says which bucket and which key; a [`Visit`] asks for one object after the other and decides by
//! what is there; [`error_page`] is what remains to be shown.
//!
//! - **J1** A visit looks at three objects at most: the page, the index of a folder, the error document.
//!   *Tested by `a_visit_ends`.*
//! - **J2** A visitor never chooses where a redirect leads: hosts come from the configuration or are the site's own, and
//!   a location without a host begins with exactly one slash. *Tested by `redirects_stay_on_the_site`.*
//! - **J3** Nothing of a request stands in a page. *Tested by `pages_are_escaped`.*

mod encoding;
mod host;
mod page;
mod request;
mod visit;

pub use encoding::{Encoding, accepted};
pub use host::Hosts;
pub use page::error_page;
pub use request::SiteRequest;
pub use visit::{Asked, Step, Visit};

#[cfg(test)]
mod tests;
