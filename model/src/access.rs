//! Finding members and items through the tables of the stored form.
//!
//! Tables are not trusted. An entry counts only if it lies inside its container and behind the entry
//! before it; reading stops at the first that does not. So every value handed out lies strictly
//! inside its parent, and siblings never overlap: walking corrupt bytes ends as surely as walking
//! good ones.

use std::borrow::Cow;

use crate::json::{unescape, write_json_string};
use crate::path::FieldPath;
use crate::stored::{ITEM_WORDS, MEMBER_WORDS, text_start, word_width, words_at};
use crate::value::{Kind, ValueRef};

/// The name of a field, with the text that it has in a stored object, for [`ValueRef::get_hinted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    name: Box<str>,
    /// `"name":`
    label: Box<[u8]>,
}

impl FieldName {
    /// Of the original JSON name.
    pub fn new(name: &str) -> FieldName {
        let mut label = Vec::with_capacity(name.len() + 3);
        write_json_string(name, &mut label);
        label.push(b':');
        FieldName {
            name: name.into(),
            label: label.into(),
        }
    }

    /// The original JSON name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name as it stands in a stored text: `"name":`.
    pub fn label(&self) -> &[u8] {
        &self.label
    }
}

impl<'a> ValueRef<'a> {
    /// The member of that name; `None` if there is none or this is no object.
    pub fn get(self, name: &str) -> Option<ValueRef<'a>> {
        // A name without anything to escape stands in the text as it is.
        if crate::json::special_offset(name.as_bytes()) == name.len() {
            let length = name.len() + 3;
            self.raw_members()
                .find(|(label, _)| {
                    label.len() == length && &label[1..length - 2] == name.as_bytes()
                })
                .map(|(_, value)| value)
        } else {
            self.find_label(&FieldName::new(name).label)
                .map(|(_, value)| value)
        }
    }

    /// The member of that name, looked for first where the last one was found: objects of one
    /// collection mostly have their members in the same places. `hint` is that place; begin with
    /// zero, and keep one hint per field.
    #[inline]
    pub fn get_hinted(self, name: &FieldName, hint: &mut u32) -> Option<ValueRef<'a>> {
        self.member_hinted(name, hint).map(|member| member.value)
    }

    /// The same with the place of its name.
    #[inline]
    pub fn member_hinted(self, name: &FieldName, hint: &mut u32) -> Option<Member<'a>> {
        let count = self.entry_count(b'{');
        let hinted = *hint as usize;
        if hinted < count
            && let Some((label, value)) = self.raw_member(hinted)
            && is_same(label, &name.label)
        {
            return Some(Member::new(label, value));
        }
        let (position, value) = self.find_label(&name.label)?;
        *hint = position as u32;
        Some(Member::new(&name.label, value))
    }

    /// What the path leads to; `None` if something on the way is absent or no object.
    pub fn at(self, path: &FieldPath) -> Option<ValueRef<'a>> {
        path.segments()
            .iter()
            .try_fold(self, |value, name| value.get(name))
    }

    /// The members of an object in the order of the text; nothing for other kinds.
    pub fn members(self) -> Members<'a> {
        Members {
            raw: self.raw_members(),
        }
    }

    /// The same with the names as they stand in the text, for whoever knows them in that form and compares them only.
    pub fn labelled_members(self) -> LabelledMembers<'a> {
        LabelledMembers {
            raw: self.raw_members(),
        }
    }

    /// The items of a list; nothing for other kinds.
    pub fn items(self) -> Items<'a> {
        let count = self.entry_count(b'[');
        let is_scanned = self.table == 0 && self.json().first() == Some(&b'[');
        let scan = if is_scanned {
            self.start as usize + 1
        } else {
            usize::MAX
        };
        Items {
            list: self,
            next: 0,
            count,
            scan,
        }
    }

    /// The number of members or items; zero for other kinds. Lists of scalars are counted by
    /// scanning them.
    pub fn len(self) -> usize {
        match self.kind() {
            Kind::Object => self.entry_count_bounded(b'{', MEMBER_WORDS),
            Kind::List if self.table != 0 => self.entry_count_bounded(b'[', ITEM_WORDS),
            Kind::List => self.items().count(),
            _ => 0,
        }
    }

    /// Whether [`ValueRef::len`] is zero.
    pub fn is_empty(self) -> bool {
        match self.kind() {
            Kind::List | Kind::Object => self.json().len() <= 2,
            _ => true,
        }
    }

    /// The members with their names as in the text: `"name":`.
    pub(crate) fn raw_members(self) -> RawMembers<'a> {
        RawMembers {
            object: self,
            next: 0,
            count: self.entry_count(b'{'),
        }
    }

    fn find_label(self, label: &[u8]) -> Option<(usize, ValueRef<'a>)> {
        let mut members = self.raw_members().enumerate();
        members
            .find(|(_, (candidate, _))| *candidate == label)
            .map(|(position, (_, value))| (position, value))
    }

    /// The number of entries that this value's table says it has, if the value is of the kind that
    /// opens with that bracket.
    #[inline]
    fn entry_count(self, bracket: u8) -> usize {
        if self.table == 0 || self.stored.get(self.start as usize) != Some(&bracket) {
            return 0;
        }
        self.words(self.table as usize - 1)
            .map_or(0, |[count]| count as usize)
    }

    /// As [`ValueRef::entry_count`], but never more than the tables have room for.
    fn entry_count_bounded(self, bracket: u8, entry_words: usize) -> usize {
        let room = (self.stored.len() - self.tables as usize) / word_width(self.stored);
        self.entry_count(bracket).min(room / entry_words)
    }

    /// Adjacent words of the tables.
    #[inline]
    fn words<const N: usize>(self, index: usize) -> Option<[u32; N]> {
        let width = word_width(self.stored);
        words_at(self.stored, self.tables as usize + index * width, width)
    }

    #[inline]
    fn raw_member(self, position: usize) -> Option<(&'a [u8], ValueRef<'a>)> {
        let entry = self.table as usize + position * MEMBER_WORDS;
        let [name, value, table, next] = self.words(entry)?;
        let text = text_start(self.stored);
        let (name, value) = (name as usize + text, value as usize + text);
        // The shortest label is `"":`.
        if name <= self.start as usize || value < name + 3 {
            return None;
        }
        let value = self.inside(value, (next as usize + text).checked_sub(1)?, table)?;
        Some((self.stored.get(name..value.start as usize)?, value))
    }

    #[inline]
    fn raw_item(self, position: usize) -> Option<ValueRef<'a>> {
        let entry = self.table as usize + position * ITEM_WORDS;
        let [start, table, next] = self.words(entry)?;
        let text = text_start(self.stored);
        self.inside(
            start as usize + text,
            (next as usize + text).checked_sub(1)?,
            table,
        )
    }

    /// The value at these positions, if they are inside this one.
    #[inline]
    fn inside(self, start: usize, end: usize, table: u32) -> Option<ValueRef<'a>> {
        if start <= self.start as usize || start >= end || end >= self.end as usize {
            return None;
        }
        Some(ValueRef {
            start: start as u32,
            end: end as u32,
            table,
            ..self
        })
    }
}

/// The members of an object, see [`ValueRef::members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    raw: RawMembers<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (label, value) = self.raw.next()?;
        Some((label_name(label)?, value))
    }
}

/// The name of a member as it stands in a stored text. Equal names have equal labels, since that text is canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a>(&'a [u8]);

impl<'a> Label<'a> {
    /// `"name":`
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name itself; `None` of a corrupt one.
    pub fn name(self) -> Option<Cow<'a, str>> {
        label_name(self.0)
    }
}

/// The members of an object, see [`ValueRef::labelled_members`].
#[derive(Clone, Debug)]
pub struct LabelledMembers<'a> {
    raw: RawMembers<'a>,
}

impl<'a> Iterator for LabelledMembers<'a> {
    type Item = (Label<'a>, ValueRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (label, value) = self.raw.next()?;
        Some((Label(label), value))
    }
}

/// A member of an object, as it stands in its text.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Where its label begins.
    start: u32,
    value: ValueRef<'a>,
}

impl<'a> Member<'a> {
    /// The label stands right before the value.
    #[inline]
    fn new(label: &[u8], value: ValueRef<'a>) -> Member<'a> {
        let start = value.start.saturating_sub(label.len() as u32);
        Member { start, value }
    }

    /// Its value.
    #[inline]
    pub fn value(self) -> ValueRef<'a> {
        self.value
    }
}

/// Members that follow each other in the text of an object, to be copied at once.
#[derive(Clone, Copy, Debug)]
pub struct MemberRun<'a> {
    stored: &'a [u8],
    start: u32,
    end: u32,
}

impl<'a> MemberRun<'a> {
    /// A single one.
    #[inline]
    pub fn of(member: Member<'a>) -> MemberRun<'a> {
        MemberRun {
            stored: member.value.stored,
            start: member.start,
            end: member.value.end,
        }
    }

    /// Adds a member of the same object, if it comes next in the text.
    #[inline]
    pub fn push(&mut self, member: Member<'a>) -> bool {
        let is_next = u64::from(member.start) == u64::from(self.end) + 1
            && self.stored.get(self.end as usize) == Some(&b',');
        if is_next {
            self.end = member.value.end;
        }
        is_next
    }

    /// `"name":value`, or several with commas between them.
    #[inline]
    pub fn text(&self) -> &'a [u8] {
        let range = self.start as usize..self.end as usize;
        self.stored.get(range).unwrap_or_default()
    }
}

/// Whether two labels are the same. Most have 4 to 16 bytes, for which a call of `memcmp` takes longer than comparing.
#[inline]
fn is_same(one: &[u8], two: &[u8]) -> bool {
    fn ends<const N: usize>(label: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
        Some((label.first_chunk()?, label.last_chunk()?))
    }
    one.len() == two.len()
        && match one.len() {
            8..=16 => ends::<8>(one) == ends::<8>(two),
            4..=7 => ends::<4>(one) == ends::<4>(two),
            _ => one == two,
        }
}

/// The name in `"name":`.
pub(crate) fn label_name(label: &[u8]) -> Option<Cow<'_, str>> {
    unescape(label.strip_prefix(b"\"")?.strip_suffix(b"\":")?)
}

#[derive(Clone, Debug)]
pub(crate) struct RawMembers<'a> {
    object: ValueRef<'a>,
    next: usize,
    count: usize,
}

impl<'a> Iterator for RawMembers<'a> {
    type Item = (&'a [u8], ValueRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.count {
            return None;
        }
        let member = self.object.raw_member(self.next);
        self.next = if member.is_some() {
            self.next + 1
        } else {
            self.count
        };
        member
    }
}

/// The items of a list, see [`ValueRef::items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    list: ValueRef<'a>,
    /// The next entry of the table, if there is one.
    next: usize,
    count: usize,
    /// Where the next item begins in a list of scalars, which has no table.
    scan: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        if self.next < self.count {
            let item = self.list.raw_item(self.next);
            self.next = if item.is_some() {
                self.next + 1
            } else {
                self.count
            };
            return item;
        }
        // The closing bracket is the last byte.
        let last = self.list.end as usize - 1;
        let rest = self.list.stored.get(self.scan..last)?;
        let length = match rest.first()? {
            b'"' => string_length(rest)?,
            b'[' | b'{' => return None,
            _ => memchr::memchr(b',', rest).unwrap_or(rest.len()),
        };
        let item = self.list.inside(self.scan, self.scan + length, 0)?;
        self.scan += length + 1;
        Some(item)
    }
}

/// The length of the string that the text begins with, quotes included.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut position = 1;
    loop {
        position += memchr::memchr2(b'"', b'\\', text.get(position..)?)?;
        match text[position] {
            b'"' => return Some(position + 1),
            _ => position += 2,
        }
    }
}

#[cfg(test)]
mod tests;
