//! What an import's or export's URL says.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use thalweg_model::FieldPath;

use super::format::Format;
use crate::api::ImportOptions;
use crate::error::HttpError;

/// The query component of an import's URL.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) options: ImportOptions,
    pub(super) format: Option<Format>,
}

impl Parameters {
    pub(super) fn read(query: &str) -> Result<Self, HttpError> {
        let mut parameters = Self {
            options: ImportOptions::default(),
            format: None,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "idField" => parameters.options.id_field = Some(field_path(&value)?),
                "atomic" => parameters.options.atomic = flag("atomic", &value)?,
                "format" => parameters.format = Some(format(&value)?),
                _ => {
                    return Err(HttpError::bad_request(format!(
                        "`{name}` is not a parameter of an import; there are `idField`, `atomic` and `format`"
                    )));
                }
            }
        }
        Ok(parameters)
    }
}

fn format(value: &str) -> Result<Format, HttpError> {
    match value {
        "ndjson" => Ok(Format::Ndjson),
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv),
        _ => Err(HttpError::bad_request(format!(
            "`format` is `{value}`; it must be ndjson, json or csv"
        ))),
    }
}

fn field_path(value: &str) -> Result<FieldPath, HttpError> {
    let segments: Vec<&str> = value.split('.').collect();
    if segments.iter().all(|segment| !segment.is_empty())
        && let Some(path) = FieldPath::new(segments)
    {
        return Ok(path);
    }
    Err(HttpError::bad_request(format!(
        "`idField` is `{value}`; it must be a field's name, or names separated by single dots"
    )))
}

/// A parameter that is true or false.
pub(crate) fn flag(name: &str, value: &str) -> Result<bool, HttpError> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(HttpError::bad_request(format!(
            "`{name}` is `{value}`; it must be true or false"
        ))),
    }
}

/// The collection that a path names.
pub(crate) fn collection_name(
    path: Result<Path<String>, PathRejection>,
) -> Result<String, HttpError> {
    path.map(|Path(name)| name).map_err(|_| {
        HttpError::bad_request("the collection's name in the path must be percent-encoded UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read() {
        let parameters = Parameters::read("idField=a.b&atomic=true&format=csv").expect("fine");
        assert_eq!(
            parameters.options.id_field.expect("there").to_string(),
            "a.b"
        );
        assert!(parameters.options.atomic);
        assert_eq!(parameters.format, Some(Format::Csv));
        assert!(!Parameters::read("").expect("fine").options.atomic);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, expected) in [
            ("idfield=a", "`idfield` is not a parameter"),
            ("idField=", "`idField` is ``"),
            ("idField=a..b", "single dots"),
            ("atomic=1", "true or false"),
            ("format=xml", "ndjson, json or csv"),
        ] {
            let error = Parameters::read(query).expect_err("must be refused");
            assert!(
                error.message().contains(expected),
                "{query}: {}",
                error.message()
            );
        }
    }
}
