//! A request's headers together with the `x-amz-*` headers that presigners hoist into the query.
//!
//! An empty header or parameter is not a use of it (S3.md §1.1): it reads as absent.

use http::HeaderMap;

use crate::error::S3Error;
use crate::query::Query;

/// Where parameters that are not part of the path or the sub-resource come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    headers: &'a HeaderMap,
    query: &'a Query,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(headers: &'a HeaderMap, query: &'a Query) -> Self {
        Self { headers, query }
    }

    /// A header's value; several lines are joined by commas, as HTTP has it. `InvalidArgument` where it is not UTF-8.
    pub(crate) fn header(&self, name: &str) -> Result<Option<String>, S3Error> {
        let mut joined = String::new();
        for (index, value) in self.headers.get_all(name).iter().enumerate() {
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_| S3Error::invalid_argument(name, "", "A header must be UTF-8."))?;
            if index > 0 {
                joined.push(',');
            }
            // White space as HTTP has it: Unicode's other kinds are part of the value.
            joined.push_str(text.trim_matches([' ', '\t']));
        }
        Ok((!joined.is_empty()).then_some(joined))
    }

    /// An `x-amz-*` field, from its header or from the query. `InvalidArgument` where two places, or two parameters,
    /// say different things: whichever were taken, the other would be dropped.
    pub(crate) fn amz(&self, name: &str) -> Result<Option<String>, S3Error> {
        let mut found = self.header(name)?;
        let hoisted = self.query.iter().filter(|(own, value)| own.eq_ignore_ascii_case(name) && !value.is_empty());
        for (_, value) in hoisted {
            if found.get_or_insert_with(|| value.to_owned()) != value {
                return Err(S3Error::invalid_argument(name, value, format!("{name} is there twice and differs.")));
            }
        }
        Ok(found)
    }

    /// A field that must be a decimal number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, S3Error> {
        let Some(text) = self.amz(name)? else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(S3Error::invalid_argument(name, &text, format!("{name} must be a number of bytes."))),
        }
    }

    /// The lower-case names of all `x-amz-*` fields in use.
    pub(crate) fn amz_names(&self) -> impl Iterator<Item = String> {
        self.amz_fields().filter(|(_, empty)| !empty).map(|(name, _)| name)
    }

    /// The same with those that are empty.
    pub(crate) fn all_amz_names(&self) -> impl Iterator<Item = String> {
        self.amz_fields().map(|(name, _)| name)
    }

    fn amz_fields(&self) -> impl Iterator<Item = (String, bool)> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.is_empty()));
        let hoisted = self.query.iter().map(|(name, value)| (name, value.is_empty()));
        let all = headers.chain(hoisted).map(|(name, empty)| (name.to_ascii_lowercase(), empty));
        all.filter(|(name, _)| name.starts_with("x-amz-"))
    }

    pub(crate) fn query(&self) -> &'a Query {
        self.query
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn hoisted_fields_are_read_and_must_agree() {
        let query = Query::parse(Some("X-Amz-Acl=private&x-amz-tagging=&prefix=x")).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(Fields::new(&headers, &query).amz("x-amz-acl").unwrap().as_deref(), Some("private"));
        assert_eq!(Fields::new(&headers, &query).amz("x-amz-tagging"), Ok(None));
        assert_eq!(Fields::new(&headers, &query).amz_names().collect::<Vec<_>>(), ["x-amz-acl"]);
        headers.insert("x-amz-acl", "public-read".parse().unwrap());
        let error = Fields::new(&headers, &query).amz("x-amz-acl").unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        let twice = Query::parse(Some("x-amz-acl=private&X-Amz-ACL=public-read")).unwrap();
        let error = Fields::new(&HeaderMap::new(), &twice).amz("x-amz-acl").unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
    }

    #[test]
    fn lines_are_joined_and_empty_ones_are_none() {
        let query = Query::default();
        let mut headers = HeaderMap::new();
        headers.append("if-none-match", "\"a\"".parse().unwrap());
        headers.append("if-none-match", " \"b\"".parse().unwrap());
        headers.append("cache-control", "".parse().unwrap());
        let fields = Fields::new(&headers, &query);
        assert_eq!(fields.header("if-none-match").unwrap().as_deref(), Some("\"a\",\"b\""));
        assert_eq!(fields.header("cache-control"), Ok(None));
    }

    #[test]
    fn only_https_white_space_is_trimmed() {
        let query = Query::default();
        let mut headers = HeaderMap::new();
        let value = "\u{85}\u{a0}a\u{2003}";
        headers.insert("x-amz-meta-a", format!(" {value}\t").parse().unwrap());
        assert_eq!(Fields::new(&headers, &query).header("x-amz-meta-a").unwrap().as_deref(), Some(value));
    }

    #[test]
    fn numbers_have_no_sign_and_no_overflow() {
        let query = Query::default();
        for bad in ["-1", "+1", "1 ", "0x10", "1e3", "18446744073709551616", "1,1"] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-decoded-content-length", bad.parse().unwrap());
            let read = Fields::new(&headers, &query).number("x-amz-decoded-content-length");
            assert_eq!(read.is_err(), bad != "1 ", "{bad}");
        }
    }
}
