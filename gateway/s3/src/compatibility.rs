//! What of AWS's S3 API is built: the one list behind `docs/s3-compatibility.md`.
//!
//! - **L1** The document is this list (`tests/compatibility.rs`).
//! - **L2** What is said to be built names a test that is there (`tests/compatibility.rs`).
//! - **L3** What is said not to be built answers 501, names itself and changes nothing (`./test compatibility`,
//!   `what_is_not_built_says_so_and_changes_nothing`).
//! - **L4** The list is whole: every operation of AWS's own model, and of those that are built every header, parameter
//!   and element (`./test compatibility`, `the_list_has_all_of_awss_model`).
//! - **L5** What is built was seen to work once and to be refused twice by boto3 or plain HTTP, every field in every
//!   operation of its row (`./test compatibility`, `boto3_passes_each_feature_group`).

mod elements;
mod fields;
mod operations;

use std::fmt::Write as _;

pub use elements::ELEMENTS;
pub use fields::FIELDS;
pub use operations::{OPERATIONS, Operation};

/// How much of something is built; each test as `file::function`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    Yes(&'static str),
    /// What is different, and the test.
    Partly(&'static str, &'static str),
    /// 501 `NotImplemented`.
    No,
}

use Support::{No, Partly, Yes};

impl Support {
    /// The test that shows it; none for what is not built.
    #[must_use]
    pub const fn test(self) -> Option<&'static str> {
        match self {
            Yes(test) | Partly(_, test) => Some(test),
            No => None,
        }
    }
}

/// Where a request carries a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Header,
    Query,
    /// Of a POST form.
    Form,
    /// Of the XML body, as a path below its root.
    Element,
}

impl Place {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Place::Header => "header",
            Place::Query => "parameter",
            Place::Form => "form field",
            Place::Element => "element",
        }
    }
}

/// Headers, parameters or elements that are about one thing and are built alike.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What they are about: the row's own name.
    pub topic: &'static str,
    pub place: Place,
    pub names: &'static [&'static str],
    /// Operations that have them; [`EVERY`], [`EVERY_OF_A_BUCKET`].
    pub of: &'static [&'static str],
    pub support: Support,
    /// Values that ask for what is not built, each of every name; of elements, the inside of the XML's root. Never
    /// empty for [`No`].
    pub lacking: &'static [&'static str],
    /// Why no request is refused because of it, where none is.
    pub harmless: Option<&'static str>,
}

/// Every operation that is built.
pub const EVERY: &[&str] = &["every operation"];
/// Every operation that is built and is about a bucket that is there.
pub const EVERY_OF_A_BUCKET: &[&str] = &["every operation of a bucket that is there"];
/// Operations that are about none.
const OF_NO_BUCKET: &[&str] = &["CreateBucket", "ListBuckets"];

impl Field {
    /// Whether an operation has these fields.
    #[must_use]
    pub fn belongs_to(&self, operation: &str) -> bool {
        let every = self.of == EVERY || (self.of == EVERY_OF_A_BUCKET && !OF_NO_BUCKET.contains(&operation));
        every || self.of.contains(&operation)
    }

    const fn new(
        place: Place,
        topic: &'static str,
        names: &'static [&'static str],
        of: &'static [&'static str],
        support: Support,
    ) -> Self {
        Self { topic, place, names, of, support, lacking: &[], harmless: None }
    }

    const fn lacking(mut self, values: &'static [&'static str]) -> Self {
        self.lacking = values;
        self
    }

    const fn harmless(mut self, why: &'static str) -> Self {
        self.harmless = Some(why);
        self
    }
}

/// All fields and elements.
pub fn fields() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().chain(ELEMENTS)
}

/// The document, whole.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(HEAD);
    text.push_str("## Operations\n\n| operation | request | | shown by |\n|---|---|---|---|\n");
    for Operation { name, request, support } in OPERATIONS {
        line(&mut text, &format!("{name} | `{request}`"), *support, None);
    }
    for (title, list) in [("Headers and parameters", FIELDS), ("Elements of XML bodies", ELEMENTS)] {
        write!(text, "\n## {title}\n\n| about | names | of | | shown by |\n|---|---|---|---|---|\n").ok();
        for field in list {
            let names: Vec<String> = field.names.iter().map(|name| format!("`{name}`")).collect();
            let what = format!(
                "{} | {} {} | {}",
                field.topic,
                if names.len() == 1 { field.place.name().to_owned() } else { format!("{}s", field.place.name()) },
                names.join(", "),
                field.of.join(", ")
            );
            line(&mut text, &what, field.support, field.harmless);
        }
    }
    text
}

const HEAD: &str = "\
# S3, as Cairn speaks it

Made from `gateway/s3/src/compatibility/` by `CAIRN_BLESS=1 cargo test --release -p cairn-s3 --test compatibility`; a test
keeps both the same. **501**: the request is answered `NotImplemented`, names what is missing, and changes nothing. An
`x-amz-*` header that is not listed is 501 too; nothing is silently ignored. `./test compatibility` holds the list against
AWS's own model of the API (botocore's), walks everything that is 501, and runs the boto3 cases: every row that is built
was seen to work and to be refused at least twice, each of its fields in each of its operations in a request that worked,
and each of its operations refused because of them, but where it says that it refuses nothing.

Operations of directory buckets (S3 Express), Object Lambda and Outposts are other services and not listed, but for
CreateSession and RenameObject, which a bucket's own address may meet. Of answers, every header and element of AWS's
model was seen, but for those of what is not built (`x-amz-restore`, `x-amz-replication-status`, …):
`tests/tests/clients/groups/answers.py` names them.

";

fn line(text: &mut String, what: &str, support: Support, harmless: Option<&str>) {
    let how = match support {
        Yes(_) => "yes".to_owned(),
        Partly(difference, _) => format!("partly: {difference}"),
        No => "501".to_owned(),
    };
    let free = harmless.map_or(String::new(), |why| format!("; refuses nothing: {why}"));
    let test = support.test().map_or(String::new(), |test| format!("`{test}`"));
    // Writing to a string does not fail.
    writeln!(text, "| {what} | {how}{free} | {test} |").ok();
}
