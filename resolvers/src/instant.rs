//! Points in time that arguments name.

use thalweg_engine::{ExpiryChange, OnExpire, Update};
use thalweg_model::{CommitTs, parse_rfc3339};

use crate::failure::Refusal;
use crate::input::{Fields, Input};

/// A `DateTime`, in microseconds since the Unix epoch.
fn micros(name: &str, value: &Input) -> Result<u64, Refusal> {
    let text = value.as_text().unwrap_or_default();
    // Coercion has made sure of the form.
    let micros = parse_rfc3339(&text).and_then(|micros| u64::try_from(micros).ok());
    micros.ok_or_else(|| {
        Refusal::bad_request(format!(
            "{name} is {text:?}; it must be a time from 1970-01-01T00:00:00Z on"
        ))
    })
}

/// The argument of that name, if it is given and not null.
pub(crate) fn argument(arguments: &Fields, name: &str) -> Result<Option<u64>, Refusal> {
    let given = arguments.present(name);
    given.map(|value| micros(name, value)).transpose()
}

/// The argument `at`: the state that includes every commit up to then.
pub(crate) fn at(arguments: &Fields) -> Result<Option<CommitTs>, Refusal> {
    Ok(argument(arguments, "at")?.map(CommitTs::from_micros))
}

/// What an input or a patch says of the document's expiry: absent leaves alone, null removes.
pub(crate) fn expiry(input: &Fields) -> Result<ExpiryChange, Refusal> {
    let at = match input.get("_expiresAt") {
        None => Update::Keep,
        Some(Input::Null) => Update::Clear,
        Some(value) => Update::Set(micros("_expiresAt", value)?),
    };
    let on_expire = match input.get("_onExpire") {
        None => Update::Keep,
        Some(value) => match value.as_text().as_deref().and_then(OnExpire::from_name) {
            Some(on_expire) => Update::Set(on_expire),
            None => Update::Clear,
        },
    };
    Ok(ExpiryChange { at, on_expire })
}
