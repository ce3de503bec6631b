//! Website configurations.

use cairn_model::rows;
use cairn_s3::website::{Condition, KeyChange, Pages, Protocol, Redirect, Rule, Website};

pub(crate) fn stored_website(website: Website) -> rows::Website {
    match website {
        Website::RedirectAll { host, protocol } => {
            rows::Website::RedirectAll { host, protocol: protocol.map(stored_protocol) }
        }
        Website::Pages(pages) => rows::Website::Pages(rows::WebsitePages {
            index_suffix: pages.index_suffix,
            error_key: pages.error_key,
            rules: pages.rules.into_iter().map(stored_rule).collect(),
        }),
    }
}

pub(crate) fn website(stored: &rows::Website) -> Website {
    match stored.clone() {
        rows::Website::RedirectAll { host, protocol: by } => Website::RedirectAll { host, protocol: by.map(protocol) },
        rows::Website::Pages(pages) => Website::Pages(Pages {
            index_suffix: pages.index_suffix,
            error_key: pages.error_key,
            rules: pages.rules.into_iter().map(rule).collect(),
        }),
    }
}

fn stored_rule(rule: Rule) -> rows::WebsiteRule {
    let Rule { condition, redirect } = rule;
    rows::WebsiteRule {
        key_prefix: condition.key_prefix,
        error_code: condition.error_code,
        host: redirect.host,
        protocol: redirect.protocol.map(stored_protocol),
        redirect_code: redirect.code,
        key: redirect.key.map(|key| match key {
            KeyChange::Prefix(prefix) => rows::WebsiteKey::Prefix(prefix),
            KeyChange::Whole(key) => rows::WebsiteKey::Whole(key),
        }),
    }
}

fn rule(stored: rows::WebsiteRule) -> Rule {
    Rule {
        condition: Condition { key_prefix: stored.key_prefix, error_code: stored.error_code },
        redirect: Redirect {
            host: stored.host,
            protocol: stored.protocol.map(protocol),
            code: stored.redirect_code,
            key: stored.key.map(|key| match key {
                rows::WebsiteKey::Prefix(prefix) => KeyChange::Prefix(prefix),
                rows::WebsiteKey::Whole(key) => KeyChange::Whole(key),
            }),
        },
    }
}

const fn stored_protocol(protocol: Protocol) -> rows::WebsiteProtocol {
    match protocol {
        Protocol::Http => rows::WebsiteProtocol::Http,
        Protocol::Https => rows::WebsiteProtocol::Https,
    }
}

const fn protocol(stored: rows::WebsiteProtocol) -> Protocol {
    match stored {
        rows::WebsiteProtocol::Http => Protocol::Http,
        rows::WebsiteProtocol::Https => Protocol::Https,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websites_round_trip() {
        let redirect = Redirect {
            host: Some("h.example".into()),
            protocol: Some(Protocol::Https),
            code: Some(302),
            key: Some(KeyChange::Prefix("a/".into())),
        };
        let condition = Condition { key_prefix: Some("b/".into()), error_code: Some(404) };
        let whole = Redirect { key: Some(KeyChange::Whole("k".into())), ..Redirect::default() };
        let rules = vec![Rule { condition, redirect }, Rule { condition: Condition::default(), redirect: whole }];
        let pages = Pages { index_suffix: "index.html".into(), error_key: Some("e".into()), rules };
        for given in [
            Website::Pages(pages),
            Website::RedirectAll { host: "h".into(), protocol: Some(Protocol::Http) },
            Website::RedirectAll { host: "h".into(), protocol: None },
        ] {
            assert_eq!(website(&stored_website(given.clone())), given);
        }
    }
}
