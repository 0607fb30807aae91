//! What a collection does with time: how long it keeps history, and when its documents expire and are purged.
//!
//! Settings are part of the collection's document in `_collections`, so changing them is a commit and has a history
//! like all else. They are not copied into documents: when a document expires follows from it *and* the settings of
//! now, so a changed `ttl` or `purge_after` holds for what is already there.

use std::str::FromStr;
use std::time::Duration;

use thalweg_model::{FieldPath, ValueRef};

use crate::duration::{self, InvalidDuration, parse_duration, write_duration};
use crate::record::Record;

/// How long the earlier images of documents are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Retain {
    /// All of them.
    #[default]
    Forever,
    /// So long after they were replaced, and the recovery window at least.
    For(Duration),
    /// For the recovery window alone.
    Nothing,
}

impl Retain {
    /// How long an image is kept after its end, in microseconds; `None` for ever.
    pub(crate) fn kept_micros(self, window: Duration) -> Option<u64> {
        let window = duration::micros(window);
        match self {
            Retain::Forever => None,
            Retain::For(kept) => Some(duration::micros(kept).max(window)),
            Retain::Nothing => Some(window),
        }
    }

    /// Whether images are erased with the log entries that refer to them.
    pub(crate) fn goes_with_log(self, window: Duration) -> bool {
        self.kept_micros(window) == Some(duration::micros(window))
    }
}

/// `forever`, `none`, or a duration.
impl FromStr for Retain {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Retain, InvalidDuration> {
        match text {
            "forever" => Ok(Retain::Forever),
            "none" => Ok(Retain::Nothing),
            _ => parse_duration(text).map(Retain::For),
        }
    }
}

impl std::fmt::Display for Retain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Retain::Forever => f.write_str("forever"),
            Retain::Nothing => f.write_str("none"),
            Retain::For(duration) => f.write_str(&write_duration(*duration)),
        }
    }
}

/// What becomes of a document that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExpire {
    /// It is softly deleted.
    Soft,
    /// It is deleted for good, with its history.
    Permanent,
}

impl OnExpire {
    /// As GraphQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            OnExpire::Soft => "SOFT",
            OnExpire::Permanent => "PERMANENT",
        }
    }

    /// Of [`OnExpire::as_str`].
    pub fn from_name(name: &str) -> Option<OnExpire> {
        match name {
            "SOFT" => Some(OnExpire::Soft),
            "PERMANENT" => Some(OnExpire::Permanent),
            _ => None,
        }
    }
}

/// The settings of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long earlier images are kept. A change takes effect on those that are already there.
    pub retain: Retain,
    /// Whether a deletion that does not ask to be permanent is soft. Where it is not, every deletion is permanent.
    pub soft_delete: bool,
    /// Softly deleted documents are deleted for good so long after their deletion, unless the deletion named a time.
    pub purge_after: Option<Duration>,
    /// Documents expire so long after their last write, unless they name a time themselves. A write that changes
    /// nothing is none.
    pub ttl: Option<Duration>,
    /// What becomes of those that expire, unless they say it themselves. `None`: what a deletion would do, so
    /// nothing is lost that nobody asked to lose: soft where `soft_delete` is on, else permanent.
    pub on_expire: Option<OnExpire>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            retain: Retain::Forever,
            soft_delete: true,
            purge_after: None,
            ttl: None,
            on_expire: None,
        }
    }
}

/// A change of something that may be unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Update<T> {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Unset it.
    Clear,
    /// Set it.
    Set(T),
}

impl<T> Update<T> {
    /// What it makes of what was there.
    pub fn of(self, before: Option<T>) -> Option<T> {
        match self {
            Update::Keep => before,
            Update::Clear => None,
            Update::Set(value) => Some(value),
        }
    }

    /// As a client sends it: absent keeps, null clears.
    pub fn from_input(input: Option<Option<T>>) -> Update<T> {
        match input {
            None => Update::Keep,
            Some(None) => Update::Clear,
            Some(Some(value)) => Update::Set(value),
        }
    }
}

/// A change of settings: only what it names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SettingsChange {
    /// See [`Settings::retain`].
    pub retain: Option<Retain>,
    /// See [`Settings::soft_delete`].
    pub soft_delete: Option<bool>,
    /// See [`Settings::purge_after`].
    pub purge_after: Update<Duration>,
    /// See [`Settings::ttl`].
    pub ttl: Update<Duration>,
    /// See [`Settings::on_expire`].
    pub on_expire: Update<OnExpire>,
}

impl Settings {
    /// The settings after a change.
    #[must_use]
    pub fn changed(&self, change: &SettingsChange) -> Settings {
        Settings {
            retain: change.retain.unwrap_or(self.retain),
            soft_delete: change.soft_delete.unwrap_or(self.soft_delete),
            purge_after: change.purge_after.of(self.purge_after),
            ttl: change.ttl.of(self.ttl),
            on_expire: change.on_expire.of(self.on_expire),
        }
    }

    /// When a document expires, in microseconds since the Unix epoch: at the time that it names, else when the
    /// collection's `ttl` has passed since it was written. Never, for one that is softly deleted.
    pub fn expires_at(&self, record: &Record<'_>) -> Option<u64> {
        if record.is_deleted() {
            return None;
        }
        let ttl = || {
            Some(
                record
                    .updated_at()
                    .saturating_add(duration::micros(self.ttl?)),
            )
        };
        record.expires_at().or_else(ttl)
    }

    /// When a softly deleted document is deleted for good, in microseconds since the Unix epoch: at the time that its
    /// deletion named, else when the collection's `purge_after` has passed since it.
    pub fn purges_at(&self, record: &Record<'_>) -> Option<u64> {
        let deleted_at = record.deleted_at()?;
        let after = || Some(deleted_at.saturating_add(duration::micros(self.purge_after?)));
        record.purge_at().or_else(after)
    }

    /// What becomes of a document when it expires.
    pub fn expires_to(&self, record: &Record<'_>) -> OnExpire {
        record.on_expire().or(self.on_expire).unwrap_or({
            if self.soft_delete {
                OnExpire::Soft
            } else {
                OnExpire::Permanent
            }
        })
    }

    /// Whether documents that were there before a change may have become due at other times by it.
    pub(crate) fn reschedules(&self, before: &Settings) -> bool {
        let newly = |now: Option<Duration>, before| now.is_some() && now != before;
        newly(self.ttl, before.ttl) || newly(self.purge_after, before.purge_after)
    }

    /// The member of a collection's document, without what is as by default; nothing where all is.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let mut members = Vec::new();
        if self.retain != Retain::Forever {
            members.push(format!("\"retain\":\"{}\"", self.retain));
        }
        if !self.soft_delete {
            members.push("\"softDelete\":false".to_owned());
        }
        let durations = [("purgeAfter", self.purge_after), ("ttl", self.ttl)];
        for (name, duration) in durations {
            members.extend(
                duration.map(|duration| format!("\"{name}\":\"{}\"", write_duration(duration))),
            );
        }
        members.extend(
            self.on_expire
                .map(|on_expire| format!("\"onExpire\":\"{}\"", on_expire.as_str())),
        );
        if !members.is_empty() {
            out.extend_from_slice(format!(",\"settings\":{{{}}}", members.join(",")).as_bytes());
        }
    }

    /// Of a collection's document; `None` of a corrupt one.
    pub(crate) fn from_document(document: ValueRef<'_>) -> Option<Settings> {
        let mut settings = Settings::default();
        let Some(stored) = document.at(&FieldPath::top("settings")) else {
            return Some(settings);
        };
        let text = |name| stored.get(name).map(|value| value.as_str().ok_or(()));
        let duration = |name| match text(name) {
            None => Some(None),
            Some(text) => parse_duration(&text.ok()?).ok().map(Some),
        };
        if let Some(retain) = text("retain") {
            settings.retain = retain.ok()?.parse().ok()?;
        }
        settings.soft_delete = stored
            .get("softDelete")
            .is_none_or(|value| value.json() == b"true");
        settings.purge_after = duration("purgeAfter")?;
        settings.ttl = duration("ttl")?;
        if let Some(on_expire) = text("onExpire") {
            settings.on_expire = Some(OnExpire::from_name(&on_expire.ok()?)?);
        }
        Some(settings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use thalweg_model::Document;

    use super::*;

    fn duration() -> impl Strategy<Value = Duration> {
        (0..1_000_000_000_000u64).prop_map(Duration::from_micros)
    }

    fn settings() -> impl Strategy<Value = Settings> {
        let retain = prop_oneof![
            Just(Retain::Forever),
            Just(Retain::Nothing),
            duration().prop_map(Retain::For),
        ];
        let on_expire = prop_oneof![Just(OnExpire::Soft), Just(OnExpire::Permanent)];
        (
            retain,
            any::<bool>(),
            proptest::option::of(duration()),
            proptest::option::of(duration()),
            proptest::option::of(on_expire),
        )
            .prop_map(
                |(retain, soft_delete, purge_after, ttl, on_expire)| Settings {
                    retain,
                    soft_delete,
                    purge_after,
                    ttl,
                    on_expire,
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(settings in settings()) {
            let mut json = b"{\"id\":1".to_vec();
            settings.write_json(&mut json);
            json.push(b'}');
            let document = Document::parse(&json).unwrap();
            prop_assert_eq!(Settings::from_document(document.root()), Some(settings));
        }
    }

    #[test]
    fn corrupt_settings_are_told() {
        for json in [
            r#"{"settings":{"retain":1}}"#,
            r#"{"settings":{"ttl":"soon"}}"#,
            r#"{"settings":{"onExpire":"EXPLODE"}}"#,
        ] {
            let document = Document::parse(json.as_bytes()).unwrap();
            assert_eq!(Settings::from_document(document.root()), None, "{json}");
        }
    }
}
