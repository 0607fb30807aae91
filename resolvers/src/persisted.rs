//! Texts that a request names instead of sending them.
//!
//! Two ways, of which one server has one. *Automatic persisted queries*: whoever sends a text with its SHA-256 may send
//! the hash alone from then on, for as long as the text is remembered; what is remembered is bounded in bytes and
//! survives changes of the schema. *Trusted documents*: the operator gives a list, and only what is on it is run.
//!
//! A text that was named goes the same way as one that was sent, so a hash costs one more look-up and spares the reading
//! of the text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use thalweg_model::{ErrorCode, Kind};

use crate::cache::GenerationCache;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::request::Request;
use crate::resolvers::Resolvers;

/// The SHA-256 of a text.
type TextHash = [u8; 32];

/// What a remembered text weighs beside its bytes.
const ENTRY_BYTES: usize = 64;

/// The texts that requests may name.
pub(crate) struct PersistedTexts {
    /// What clients have registered; `None` where they may not.
    registered: Option<GenerationCache<TextHash, Arc<str>>>,
    /// What the operator has listed; `None` where any text is run.
    trusted: RwLock<Option<Arc<TrustedDocuments>>>,
}

/// A request's text.
pub(crate) struct RequestText<'r> {
    text: Sent<'r>,
    /// Under which hash the text is to be remembered once it has proved valid.
    register_as: Option<TextHash>,
}

enum Sent<'r> {
    Here(&'r str),
    Remembered(Arc<str>),
}

impl RequestText<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match &self.text {
            Sent::Here(text) => text,
            Sent::Remembered(text) => text,
        }
    }
}

/// The documents that an operator lets run, by their ids.
#[derive(Debug, Clone, Default)]
pub struct TrustedDocuments {
    by_id: HashMap<Box<str>, Arc<str>>,
    texts: HashSet<Arc<str>>,
}

impl TrustedDocuments {
    /// Adds a document under an id. Gives false, and changes nothing, where the id is that of another text.
    #[must_use]
    pub fn insert(&mut self, id: &str, text: &str) -> bool {
        if let Some(known) = self.by_id.get(id) {
            return **known == *text;
        }
        let text: Arc<str> = match self.texts.get(text) {
            Some(known) => Arc::clone(known),
            None => Arc::from(text),
        };
        self.texts.insert(Arc::clone(&text));
        self.by_id.insert(id.into(), text);
        true
    }

    /// Every id with its text, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_id.iter().map(|(id, text)| (&**id, &**text))
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nothing is listed, so that nothing is run.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// `sha256:` before a hash is how the draft on persisted documents marks it; manifests have the hash alone.
    fn get(&self, id: &str) -> Option<&Arc<str>> {
        let bare = || self.by_id.get(id.strip_prefix(HASH_PREFIX)?);
        self.by_id.get(id).or_else(bare)
    }
}

/// The SHA-256 of a text as clients write it: 64 hexadecimal digits.
///
/// ```
/// assert_eq!(
///     thalweg_resolvers::text_hash("{__typename}"),
///     "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
/// );
/// ```
pub fn text_hash(text: &str) -> String {
    hash(text)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

const HASH_PREFIX: &str = "sha256:";

fn hash(text: &str) -> TextHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Reads 64 hexadecimal digits, with or without `sha256:` before them.
fn parse_hash(id: &str) -> Option<TextHash> {
    let digits = id.strip_prefix(HASH_PREFIX).unwrap_or(id).as_bytes();
    let mut hash = TextHash::default();
    if digits.len() != 2 * hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        // Two digits below 16, so it fits.
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(hash)
}

/// The name that a request gives for its text: `extensions.persistedQuery.sha256Hash`, or `documentId`.
fn name(request: &Request) -> Result<Option<Cow<'_, str>>, Failure> {
    let extensions = request.extensions.as_ref();
    let persisted = extensions
        .and_then(|extensions| extensions.as_ref().get("persistedQuery"))
        .filter(|persisted| persisted.kind() != Kind::Null);
    let Some(persisted) = persisted else {
        return Ok(request.document_id.as_deref().map(Cow::Borrowed));
    };
    let malformed = |what: &str| {
        let message = format!(
            "extensions.persistedQuery {what}; it is {{\"version\": 1, \"sha256Hash\": \"…\"}}, the SHA-256 of the \
             operation's text in hexadecimal digits"
        );
        Failure::new(ErrorCode::BadRequest, message)
    };
    if persisted.get("version").is_none_or(|it| it.json() != b"1") {
        return Err(malformed("has a version other than 1"));
    }
    let hash = persisted.get("sha256Hash").and_then(|hash| hash.as_str());
    hash.map(Some)
        .ok_or_else(|| malformed("has no sha256Hash that is a string"))
}

fn not_found() -> Failure {
    // Word for word what Apollo's clients look for.
    Failure::new(ErrorCode::PersistedQueryNotFound, "PersistedQueryNotFound")
}

fn mismatch() -> Failure {
    Failure::new(
        ErrorCode::BadRequest,
        "the request names its text by an id that is not that of the text beside it; send one of them, or the SHA-256 of \
         exactly this text",
    )
}

impl PersistedTexts {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bytes_max = limits.persisted_bytes_max;
        PersistedTexts {
            registered: (bytes_max > 0).then(|| GenerationCache::new(bytes_max)),
            trusted: RwLock::new(None),
        }
    }

    /// The text of a request, sent or named; fails where it has none, or one that is not to be run.
    pub(crate) fn text<'r>(&self, request: &'r Request) -> Result<RequestText<'r>, Failure> {
        let name = name(request)?;
        let query = request.query.as_deref();
        if query.is_none() && name.is_none() {
            return Err(Failure::new(
                ErrorCode::BadRequest,
                "the request has no \"query\": the operation's text",
            ));
        }
        let trusted = self.trusted.read().clone();
        match trusted {
            Some(trusted) => trusted_text(&trusted, query, name.as_deref()),
            None => self.registered_text(query, name.as_deref()),
        }
    }

    fn registered_text<'r>(
        &self,
        query: Option<&'r str>,
        name: Option<&str>,
    ) -> Result<RequestText<'r>, Failure> {
        let hash_named = name.and_then(parse_hash);
        let Some(query) = query else {
            let Some(registered) = &self.registered else {
                return Err(Failure::new(
                    ErrorCode::PersistedQueryNotSupported,
                    "PersistedQueryNotSupported",
                ));
            };
            let text = hash_named.and_then(|hash| registered.get(&hash));
            return Ok(RequestText {
                text: Sent::Remembered(text.ok_or_else(not_found)?),
                register_as: None,
            });
        };
        let mut register_as = None;
        if let (Some(named), Some(registered)) = (hash_named, &self.registered) {
            let is_known = registered.get(&named).is_some_and(|text| *text == *query);
            if !is_known {
                if hash(query) != named {
                    return Err(mismatch());
                }
                register_as = Some(named);
            }
        }
        Ok(RequestText {
            text: Sent::Here(query),
            register_as,
        })
    }

    /// Remembers a text that has proved valid, where its request asked for that.
    pub(crate) fn register(&self, request: &RequestText<'_>, text: &Arc<str>) {
        if let (Some(hash), Some(registered)) = (request.register_as, &self.registered) {
            registered.insert(hash, Arc::clone(text), text.len() + ENTRY_BYTES);
        }
    }
}

fn trusted_text<'r>(
    trusted: &TrustedDocuments,
    query: Option<&'r str>,
    name: Option<&str>,
) -> Result<RequestText<'r>, Failure> {
    let named = name.and_then(|name| trusted.get(name));
    let text = match (query, named) {
        (None, Some(text)) => Sent::Remembered(Arc::clone(text)),
        (None, None) => return Err(not_found()),
        (Some(query), Some(text)) if **text != *query => return Err(mismatch()),
        (Some(query), _) if trusted.texts.contains(query) => Sent::Here(query),
        (Some(_), _) => {
            return Err(Failure::new(
                ErrorCode::Forbidden,
                "this server runs only the documents on its list, and this text is not on it; an operator adds it with \
                 --trusted-documents",
            ));
        }
    };
    Ok(RequestText {
        text,
        register_as: None,
    })
}

impl Resolvers {
    /// From now on runs only these documents; with `None` any text again. What is under way goes on.
    pub fn trust(&self, documents: Option<TrustedDocuments>) {
        *self.persisted().trusted.write() = documents.map(Arc::new);
    }

    /// Whether a text is valid against the newest API schema, within the limits.
    pub fn check_text(&self, text: &str) -> Result<(), Failure> {
        let schema = self.newest_schema()?;
        schema.parse(text, self.limits()).map(drop)
    }

    /// Puts the text into a request that only names it, for whoever has to tell requests apart by their texts.
    pub fn resolve_text(&self, request: &mut Request) -> Result<(), Failure> {
        if request.query.is_none() {
            let text = self.persisted().text(request)?.as_str().to_owned();
            request.query = Some(text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
