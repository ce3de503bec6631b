//! Answers about buckets.

use super::Owner;
use crate::date::iso_8601;
use crate::xml::Writer;

/// One bucket of a [`BucketList`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketEntry {
    pub name: String,
    pub created_unix_ms: u64,
    pub region: Option<String>,
}

/// The answer to `ListBuckets`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketList {
    pub owner: Owner,
    pub buckets: Vec<BucketEntry>,
    /// The prefix asked for.
    pub prefix: Option<String>,
    /// Where to go on; `None` at the end.
    pub next_token: Option<String>,
}

impl BucketList {
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("ListAllMyBucketsResult", |xml| {
            xml.element("Owner", |xml| self.owner.write(xml));
            xml.element("Buckets", |xml| {
                for bucket in &self.buckets {
                    xml.element("Bucket", |xml| {
                        xml.text("Name", &bucket.name);
                        xml.text("CreationDate", &iso_8601(bucket.created_unix_ms));
                        xml.optional("BucketRegion", bucket.region.as_deref());
                    });
                }
            });
            xml.optional("ContinuationToken", self.next_token.as_deref());
            xml.optional("Prefix", self.prefix.as_deref());
        })
    }
}

/// The answer to `GetBucketLocation`: AWS writes its first region as nothing.
#[must_use]
pub fn location_constraint(region: &str) -> String {
    let mut xml = Writer::document();
    let attributes = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    xml.element_with("LocationConstraint", attributes, |xml| {
        if region != "us-east-1" {
            xml.characters(region);
        }
    });
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_list() {
        let list = BucketList {
            owner: Owner { id: "me".into(), display_name: "My <self>".into() },
            buckets: vec![BucketEntry { name: "photos".into(), created_unix_ms: 1_000, region: Some("eu".into()) }],
            prefix: Some("ph".into()),
            next_token: Some("t".into()),
        };
        assert_eq!(
            list.to_xml(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Owner><ID>me</ID><DisplayName>My &lt;self&gt;</DisplayName></Owner>\
             <Buckets><Bucket><Name>photos</Name><CreationDate>1970-01-01T00:00:01.000Z</CreationDate>\
             <BucketRegion>eu</BucketRegion></Bucket></Buckets>\
             <ContinuationToken>t</ContinuationToken><Prefix>ph</Prefix></ListAllMyBucketsResult>"
        );
    }

    #[test]
    fn locations() {
        assert!(location_constraint("eu-1").ends_with("doc/2006-03-01/\">eu-1</LocationConstraint>"));
        assert!(location_constraint("us-east-1").ends_with("doc/2006-03-01/\"></LocationConstraint>"));
    }
}
