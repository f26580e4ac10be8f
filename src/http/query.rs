//! The query of a list.
//!
//! Invariant: an unknown, repeated or malformed parameter is refused by name.

use actix_web::HttpRequest;

use crate::task::{Name, TaskFilter, TaskId};

use super::cursor;
use super::path::{parameters, unknown};
use super::problem::Problem;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;

/// The most characters of an owner.
pub(super) const OWNER_CHARACTERS: usize = 1_000;

/// What a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) filter: TaskFilter,
    pub(super) limit: u32,
    pub(super) below: Option<TaskId>,
}

/// `?app=&model=&status=&owner=&limit=&after=`, all optional.
pub(super) fn list(request: &HttpRequest) -> Result<ListQuery, Problem> {
    let mut wanted = ListQuery { filter: TaskFilter::default(), limit: DEFAULT_LIMIT, below: None };
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in parameters(request)? {
        if seen.contains(&name) {
            return Err(Problem::invalid_path(&name, "stands twice: give it once"));
        }
        let wrong = |allowed: &str| Problem::invalid_path(&name, allowed);
        let filter = &mut wanted.filter;
        match name.as_str() {
            "app" => filter.app = Some(a_name(&value).ok_or_else(|| wrong(NAME))?),
            "model" => filter.model = Some(a_name(&value).ok_or_else(|| wrong(NAME))?),
            "status" => filter.status = Some(value.parse().map_err(|_| wrong(STATUS))?),
            "owner" => filter.owner = Some(an_owner(&value).ok_or_else(|| wrong(OWNER))?.into()),
            "limit" => wanted.limit = limit(&value).ok_or_else(|| wrong(LIMIT))?,
            "after" => wanted.below = Some(cursor::read(&value).ok_or_else(|| wrong(AFTER))?),
            _ => return Err(unknown(&name)),
        }
        seen.push(name);
    }
    Ok(wanted)
}

pub(super) const NAME: &str = "must match [A-Za-z_][A-Za-z0-9_]{0,63}";
pub(super) const STATUS: &str = "must be `pending`, `running`, `completed`, `failed` or `cancelled`";
pub(super) const OWNER: &str = "must be a name of 1 to 1000 characters without U+0000";
const LIMIT: &str = "must be a whole number from 1 to 500";
const AFTER: &str = "must be the `next` of an earlier page, as it was";

fn a_name(text: &str) -> Option<Name> {
    Name::new(text).ok()
}

/// A name that an owner can have.
pub(super) fn an_owner(text: &str) -> Option<&str> {
    let characters = text.chars().count();
    Some(text).filter(|text| (1..=OWNER_CHARACTERS).contains(&characters) && !text.contains('\0'))
}

fn limit(text: &str) -> Option<u32> {
    let is_number = text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|limit| is_number && (1..=MAX_LIMIT).contains(limit))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::task::Status;

    fn told(query: &str) -> Result<ListQuery, String> {
        let request = TestRequest::with_uri(&format!("/tasks?{query}")).to_http_request();
        list(&request).map_err(|problem| {
            assert_eq!(problem.name(), "invalid-path");
            problem.errors()[0].field.clone()
        })
    }

    #[test]
    fn every_parameter_is_read() {
        let none = told("").unwrap();
        assert!(none.filter.is_empty());
        assert_eq!((none.limit, none.below), (50, None));
        let below = TaskId::new(9).unwrap();
        let query =
            format!("app=a&model=B&status=failed&owner=a%20b&limit=500&after={}", cursor::write(below));
        let all = told(&query).unwrap();
        let filter = all.filter;
        assert_eq!((filter.app, filter.model), (Name::new("a").ok(), Name::new("B").ok()));
        assert_eq!((filter.status, filter.owner.as_deref()), (Some(Status::Failed), Some("a b")));
        assert_eq!((all.limit, all.below), (500, Some(below)));
    }

    #[test]
    fn what_is_wrong_is_refused_by_name() {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=", "limit"),
            ("limit=%2B5", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("limit=1&limit=1", "limit"),
            ("after=", "after"),
            ("after=5", "after"),
            ("status=done", "status"),
            ("status=Running", "status"),
            ("app=a%2Fb", "app"),
            ("model=", "model"),
            ("owner=", "owner"),
            ("owner=a%00b", "owner"),
            ("owner=a&owner=b", "owner"),
            ("order=asc", "order"),
        ] {
            assert_eq!(told(query), Err(field.to_owned()), "{query}");
        }
    }
}
