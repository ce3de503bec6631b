//! What a site answers, by what is there.

use http::StatusCode;

use crate::key::ObjectKey;
use crate::uri::{encode_path, encode_written};
use crate::website::{Condition, KeyChange, Pages, Protocol, Redirect, Rule, Website};

/// A request, as a site's rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// How the visitor came.
    pub protocol: Protocol,
    /// Host and port, as the visitor wrote them.
    pub authority: &'a str,
    /// The decoded path without its first slash.
    pub key: &'a str,
    /// As sent.
    pub query: Option<&'a str>,
}

/// What the listener does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Look for this object; then call [`Visit::found`], [`Visit::missing`] or [`Visit::failed`].
    Look(ObjectKey),
    /// Answer with the object just found, under this status.
    Serve(StatusCode),
    Redirect {
        status: StatusCode,
        location: String,
    },
    /// There is nothing of the site's to show: answer with the error of this status.
    Refuse(StatusCode),
}

/// One request on its way through a site.
#[derive(Debug)]
pub struct Visit<'a> {
    /// None where everything is redirected.
    pages: Option<&'a Pages>,
    asked: Asked<'a>,
    stage: Stage,
}

/// What is being looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The path itself.
    Page,
    /// The index of a path that ends with a slash.
    Index,
    /// The index of a path that lacks its slash.
    Folder,
    /// What is shown with this error.
    ErrorDocument(StatusCode),
}

impl<'a> Visit<'a> {
    /// Begins; rules that ask for no error are judged at once.
    #[must_use]
    pub fn begin(website: &'a Website, asked: Asked<'a>) -> (Self, Step) {
        match website {
            Website::RedirectAll { host, protocol } => {
                let redirect = Redirect { host: Some(host.clone()), protocol: *protocol, ..Redirect::default() };
                let step = asked.redirect(&Rule { condition: Condition::default(), redirect });
                (Self { pages: None, asked, stage: Stage::Page }, step)
            }
            Website::Pages(pages) => {
                let mut visit = Self { pages: Some(pages), asked, stage: Stage::Page };
                let step = visit.first_look(pages);
                (visit, step)
            }
        }
    }

    fn first_look(&mut self, pages: &Pages) -> Step {
        let key = self.asked.key;
        if let Some(rule) = pages.rules.iter().find(|rule| rule.condition.error_code.is_none() && rule.fits(key)) {
            return self.asked.redirect(rule);
        }
        if key.is_empty() || key.ends_with('/') {
            return self.look(Stage::Index, format!("{key}{}", pages.index_suffix));
        }
        self.look(Stage::Page, key.to_owned())
    }

    /// What cannot be a key is not there.
    fn look(&mut self, stage: Stage, key: String) -> Step {
        self.stage = stage;
        match ObjectKey::new(key.into_bytes()) {
            Ok(key) => Step::Look(key),
            Err(_) => self.missing(),
        }
    }

    /// The object is there. `redirect`: its `x-amz-website-redirect-location`.
    pub fn found(&mut self, redirect: Option<&str>) -> Step {
        match (self.stage, redirect) {
            (Stage::ErrorDocument(status), _) => Step::Serve(status),
            (Stage::Folder, _) => {
                // A second slash in front would make the first part of the path a host.
                let path = encode_path(self.asked.key.as_bytes());
                let path = path.strip_prefix('/').map(|rest| format!("%2F{rest}")).unwrap_or(path);
                let location = self.asked.with_query(format!("/{path}/"));
                Step::Redirect { status: StatusCode::FOUND, location }
            }
            (Stage::Page | Stage::Index, Some(location)) => {
                Step::Redirect { status: StatusCode::MOVED_PERMANENTLY, location: encode_written(location) }
            }
            (Stage::Page | Stage::Index, None) => Step::Serve(StatusCode::OK),
        }
    }

    /// The object is not there.
    pub fn missing(&mut self) -> Step {
        match (self.stage, self.pages) {
            (Stage::Page, Some(pages)) => {
                self.look(Stage::Folder, format!("{}/{}", self.asked.key, pages.index_suffix))
            }
            _ => self.failed(StatusCode::NOT_FOUND),
        }
    }

    /// The object cannot be shown.
    pub fn failed(&mut self, status: StatusCode) -> Step {
        let pages = match (self.stage, self.pages) {
            (Stage::ErrorDocument(first), _) => return Step::Refuse(first),
            (Stage::Page | Stage::Index | Stage::Folder, None) => return Step::Refuse(status),
            (Stage::Page | Stage::Index | Stage::Folder, Some(pages)) => pages,
        };
        let holds = |rule: &&Rule| rule.condition.error_code == Some(status.as_u16()) && rule.fits(self.asked.key);
        if let Some(rule) = pages.rules.iter().find(holds) {
            return self.asked.redirect(rule);
        }
        match &pages.error_key {
            Some(key) if status.is_client_error() => self.look(Stage::ErrorDocument(status), key.clone()),
            Some(_) | None => Step::Refuse(status),
        }
    }
}

impl Rule {
    fn fits(&self, key: &str) -> bool {
        self.condition.key_prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
    }

    /// The path it leads to, without its first slash; and whether that has a query or a fragment of its own.
    fn path(&self, key: &str) -> (String, bool) {
        let prefix = self.condition.key_prefix.as_deref().unwrap_or_default();
        let whole = |text: &str| text.contains(['?', '#']);
        match &self.redirect.key {
            None => (encode_path(key.as_bytes()), false),
            Some(KeyChange::Whole(text)) => (encode_written(text), whole(text)),
            Some(KeyChange::Prefix(text)) => {
                let rest = key.strip_prefix(prefix).unwrap_or(key);
                (format!("{}{}", encode_written(text), encode_path(rest.as_bytes())), whole(text))
            }
        }
    }
}

impl Asked<'_> {
    fn redirect(&self, rule: &Rule) -> Step {
        let Redirect { host, protocol, code, .. } = &rule.redirect;
        let protocol = protocol.unwrap_or(self.protocol).name();
        let host = host.as_deref().unwrap_or(self.authority);
        let (path, whole) = rule.path(self.key);
        let location = format!("{protocol}://{host}/{path}");
        let location = if whole { location } else { self.with_query(location) };
        let status = code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::MOVED_PERMANENTLY);
        Step::Redirect { status, location }
    }

    fn with_query(&self, location: String) -> String {
        match self.query {
            Some(query) => format!("{location}?{}", encode_written(query)),
            None => location,
        }
    }
}
