//! A bucket's website configuration, as its row keeps it.

use cairn_proto::model::v1;

use super::RowError;

/// What a bucket is served as by the web listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Website {
    /// Every request is sent elsewhere.
    RedirectAll {
        host: String,
        protocol: Option<WebsiteProtocol>,
    },
    Pages(WebsitePages),
}

/// A site of objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebsitePages {
    /// Never empty.
    pub index_suffix: String,
    /// Never empty.
    pub error_key: Option<String>,
    /// Judged in order.
    pub rules: Vec<WebsiteRule>,
}

/// A routing rule: when it holds, and where it leads.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WebsiteRule {
    pub key_prefix: Option<String>,
    /// 400 to 599.
    pub error_code: Option<u16>,
    /// Never empty.
    pub host: Option<String>,
    pub protocol: Option<WebsiteProtocol>,
    /// 301 to 399.
    pub redirect_code: Option<u16>,
    pub key: Option<WebsiteKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebsiteProtocol {
    Http,
    Https,
}

/// What a routing rule makes of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebsiteKey {
    /// Instead of the rule's prefix; may be empty.
    Prefix(String),
    Whole(String),
}

impl Website {
    pub(super) fn to_proto(&self) -> v1::Website {
        match self {
            Website::RedirectAll { host, protocol } => {
                let redirect_all =
                    v1::WebsiteRedirectAll { host: host.clone(), protocol: protocol_to_proto(*protocol) };
                v1::Website { redirect_all: Some(redirect_all), ..v1::Website::default() }
            }
            Website::Pages(pages) => v1::Website {
                redirect_all: None,
                index_suffix: pages.index_suffix.clone(),
                error_key: pages.error_key.clone().unwrap_or_default(),
                rules: pages.rules.iter().map(WebsiteRule::to_proto).collect(),
            },
        }
    }

    pub(super) fn from_proto(proto: v1::Website) -> Result<Self, RowError> {
        if let Some(all) = proto.redirect_all {
            return Ok(Website::RedirectAll { host: all.host, protocol: protocol_from_proto(all.protocol)? });
        }
        if proto.index_suffix.is_empty() {
            return Err(RowError::Field("website"));
        }
        Ok(Website::Pages(WebsitePages {
            index_suffix: proto.index_suffix,
            error_key: some(proto.error_key),
            rules: proto.rules.into_iter().map(WebsiteRule::from_proto).collect::<Result<_, _>>()?,
        }))
    }
}

impl WebsiteRule {
    fn to_proto(&self) -> v1::WebsiteRule {
        v1::WebsiteRule {
            key_prefix: self.key_prefix.clone(),
            error_code: self.error_code.unwrap_or(0).into(),
            host: self.host.clone().unwrap_or_default(),
            protocol: protocol_to_proto(self.protocol),
            redirect_code: self.redirect_code.unwrap_or(0).into(),
            key: self.key.clone().map(|key| match key {
                WebsiteKey::Prefix(prefix) => v1::website_rule::Key::ReplacePrefix(prefix),
                WebsiteKey::Whole(key) => v1::website_rule::Key::ReplaceKey(key),
            }),
        }
    }

    fn from_proto(proto: v1::WebsiteRule) -> Result<Self, RowError> {
        Ok(Self {
            key_prefix: proto.key_prefix,
            error_code: status(proto.error_code)?,
            host: some(proto.host),
            protocol: protocol_from_proto(proto.protocol)?,
            redirect_code: status(proto.redirect_code)?,
            key: proto.key.map(|key| match key {
                v1::website_rule::Key::ReplacePrefix(prefix) => WebsiteKey::Prefix(prefix),
                v1::website_rule::Key::ReplaceKey(key) => WebsiteKey::Whole(key),
            }),
        })
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A status line's number; 0: none.
fn status(number: u32) -> Result<Option<u16>, RowError> {
    match u16::try_from(number) {
        Ok(0) => Ok(None),
        Ok(status @ 100..=599) => Ok(Some(status)),
        Ok(_) | Err(_) => Err(RowError::Field("website status")),
    }
}

fn protocol_to_proto(protocol: Option<WebsiteProtocol>) -> i32 {
    match protocol {
        None => v1::WebsiteProtocol::Unspecified,
        Some(WebsiteProtocol::Http) => v1::WebsiteProtocol::Http,
        Some(WebsiteProtocol::Https) => v1::WebsiteProtocol::Https,
    }
    .into()
}

fn protocol_from_proto(protocol: i32) -> Result<Option<WebsiteProtocol>, RowError> {
    match v1::WebsiteProtocol::try_from(protocol) {
        Ok(v1::WebsiteProtocol::Unspecified) => Ok(None),
        Ok(v1::WebsiteProtocol::Http) => Ok(Some(WebsiteProtocol::Http)),
        Ok(v1::WebsiteProtocol::Https) => Ok(Some(WebsiteProtocol::Https)),
        Err(_) => Err(RowError::Field("website protocol")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::option;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::*;

    fn protocol() -> impl Strategy<Value = Option<WebsiteProtocol>> {
        option::of(prop_oneof![Just(WebsiteProtocol::Http), Just(WebsiteProtocol::Https)])
    }

    fn key() -> impl Strategy<Value = Option<WebsiteKey>> {
        option::of(prop_oneof![
            any::<String>().prop_map(WebsiteKey::Prefix),
            any::<String>().prop_map(WebsiteKey::Whole)
        ])
    }

    fn rule() -> impl Strategy<Value = WebsiteRule> {
        let fields =
            (option::of(".*"), option::of(400_u16..600), option::of(".+"), protocol(), option::of(301_u16..400));
        (fields, key()).prop_map(|((key_prefix, error_code, host, protocol, redirect_code), key)| WebsiteRule {
            key_prefix,
            error_code,
            host,
            protocol,
            redirect_code,
            key,
        })
    }

    /// Any configuration a row can hold.
    pub(in crate::rows) fn any_website() -> impl Strategy<Value = Website> {
        let pages = (".+", option::of(".+"), proptest::collection::vec(rule(), 0..4)).prop_map(
            |(index_suffix, error_key, rules)| Website::Pages(WebsitePages { index_suffix, error_key, rules }),
        );
        let redirect = (".*", protocol()).prop_map(|(host, protocol)| Website::RedirectAll { host, protocol });
        prop_oneof![pages, redirect]
    }

    proptest! {
        #[test]
        fn website_round_trip(website in any_website()) {
            assert_eq!(Website::from_proto(website.to_proto()), Ok(website));
        }
    }

    #[test]
    fn what_is_neither_pages_nor_a_redirect_is_refused() {
        assert_eq!(Website::from_proto(v1::Website::default()), Err(RowError::Field("website")));
        let rule = v1::WebsiteRule { error_code: 70_000, ..v1::WebsiteRule::default() };
        let odd = v1::Website { index_suffix: "i".into(), rules: vec![rule], ..v1::Website::default() };
        assert_eq!(Website::from_proto(odd), Err(RowError::Field("website status")));
    }
}
