//! `GetBucketCors`.

use crate::cors::{Cors, RuleText};
use crate::xml::Writer;

impl Cors {
    /// A `CORSConfiguration` with the rules as they were given.
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("CORSConfiguration", |xml| {
            for rule in self.to_texts() {
                xml.element("CORSRule", |xml| write_rule(xml, &rule));
            }
        })
    }
}

fn write_rule(xml: &mut Writer, rule: &RuleText) {
    xml.optional("ID", rule.id.as_deref());
    let lists = [
        ("AllowedOrigin", &rule.allowed_origins),
        ("AllowedMethod", &rule.allowed_methods),
        ("AllowedHeader", &rule.allowed_headers),
        ("ExposeHeader", &rule.expose_headers),
    ];
    for (element, texts) in lists {
        texts.iter().for_each(|text| xml.text(element, text));
    }
    if let Some(seconds) = rule.max_age_s {
        xml.value("MaxAgeSeconds", seconds);
    }
}
