//! The documents of a simulated workload: few collections, few fields, every written value told apart.
//!
//! Both sides of the comparison speak in these types: what the engine showed is read into them, and the model is made
//! of them. A list item and a tag name the transaction that wrote them, so a read tells which write it saw.

use std::fmt;

use thalweg_engine::{FieldMask, FieldRef, Record};
use thalweg_model::{Document, FieldPath, Kind, Value, ValueRef};

/// The collections of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Everything happens here: creates, patches, deletes, restores, bulk updates, truncation.
    Things,
    /// Documents that only ever grow, by appends to their list. What the cycle check reads.
    Lists,
    /// Balances, whose sum no transaction changes.
    Accounts,
    /// One document for each transaction that wrote, so that one whose answer was lost can be found.
    Marks,
    /// What pets name by three fields, each with a policy of its own.
    Owners,
    /// Documents that name owners: [`Field::Owner`] cascades, [`Field::Friend`] becomes null, [`Field::Warden`] restricts.
    Pets,
    /// A collection that is dropped, and comes to be again with the next document.
    Scratch,
}

impl Collection {
    /// All of them.
    pub const ALL: [Collection; 7] = [
        Collection::Things,
        Collection::Lists,
        Collection::Accounts,
        Collection::Marks,
        Collection::Owners,
        Collection::Pets,
        Collection::Scratch,
    ];

    /// Those that are there from the beginning to the end.
    pub const LASTING: [Collection; 6] = [
        Collection::Things,
        Collection::Lists,
        Collection::Accounts,
        Collection::Marks,
        Collection::Owners,
        Collection::Pets,
    ];

    /// Its name in the engine.
    pub fn name(self) -> &'static str {
        match self {
            Collection::Things => "things",
            Collection::Lists => "lists",
            Collection::Accounts => "accounts",
            Collection::Marks => "marks",
            Collection::Owners => "owners",
            Collection::Pets => "pets",
            Collection::Scratch => "scratch",
        }
    }
}

/// The fields of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A string that only one transaction writes.
    Tag,
    /// An integer that is incremented.
    Number,
    /// A small integer to filter by.
    Group,
    /// A list of integers, each of which only one transaction writes.
    List,
    /// The balance of an account.
    Balance,
    /// The owner that a pet goes with.
    Owner,
    /// The owner that a pet forgets.
    Friend,
    /// The owner that may not go while a pet names it.
    Warden,
    /// A member that no transaction writes: to see it is an anomaly.
    Strange,
}

impl Field {
    /// Its name in a document.
    pub fn name(self) -> &'static str {
        match self {
            Field::Tag => "tag",
            Field::Number => "number",
            Field::Group => "group",
            Field::List => "list",
            Field::Balance => "balance",
            Field::Owner => "owner",
            Field::Friend => "friend",
            Field::Warden => "warden",
            Field::Strange => "strange",
        }
    }

    /// Where it is in a document.
    pub fn path(self) -> FieldPath {
        FieldPath::top(self.name())
    }

    fn of_name(name: &str) -> Field {
        let known = [
            Field::Tag,
            Field::Number,
            Field::Group,
            Field::List,
            Field::Balance,
            Field::Owner,
            Field::Friend,
            Field::Warden,
        ];
        known
            .into_iter()
            .find(|field| field.name() == name)
            .unwrap_or(Field::Strange)
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
    /// A list of integers.
    List(Vec<i64>),
    /// Anything else, as its JSON text.
    Other(String),
}

impl Item {
    fn of(value: ValueRef<'_>) -> Item {
        let other = || Item::Other(String::from_utf8_lossy(value.json()).into_owned());
        match value.kind() {
            Kind::Int => value.as_i64().map_or_else(other, Item::Int),
            Kind::String => value
                .as_str()
                .map_or_else(other, |text| Item::Text(text.into_owned())),
            Kind::List => {
                let items: Option<Vec<i64>> = value.items().map(ValueRef::as_i64).collect();
                items.map_or_else(other, Item::List)
            }
            _ => other(),
        }
    }

    /// As a value of the engine's.
    pub fn to_value(&self) -> Value {
        Value::parse(self.to_string().as_bytes()).expect("an item prints itself as JSON")
    }
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Int(number) => number.fmt(formatter),
            // The workload's strings need no escapes.
            Item::Text(text) => write!(formatter, "\"{text}\""),
            Item::List(items) => {
                let items: Vec<String> = items.iter().map(i64::to_string).collect();
                write!(formatter, "[{}]", items.join(","))
            }
            Item::Other(json) => json.fmt(formatter),
        }
    }
}

/// An item as messages show it: of a long list only the end, where lists that should be the same differ.
struct Told<'i>(&'i Item);

/// Items of a list that a message shows.
const ITEMS_TOLD_MAX: usize = 6;

impl fmt::Display for Told<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Item::List(items) if items.len() > ITEMS_TOLD_MAX => {
                let hidden = items.len() - ITEMS_TOLD_MAX;
                let told: Vec<String> = items[hidden..].iter().map(i64::to_string).collect();
                write!(formatter, "[{hidden} items,{}]", told.join(","))
            }
            item => item.fmt(formatter),
        }
    }
}

/// The members of a document, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(pub Vec<(Field, Item)>);

impl Members {
    /// The value of a field.
    pub fn get(&self, field: Field) -> Option<&Item> {
        let found = self.0.iter().find(|(name, _)| *name == field);
        found.map(|(_, item)| item)
    }

    /// Sets a field where it stands, or appends it.
    pub fn set(&mut self, field: Field, item: Item) {
        match self.0.iter_mut().find(|(name, _)| *name == field) {
            Some((_, old)) => *old = item,
            None => self.0.push((field, item)),
        }
    }

    /// As a document of the engine's.
    pub fn to_document(&self) -> Document {
        Document::parse(self.to_string().as_bytes()).expect("members print themselves as JSON")
    }
}

impl fmt::Display for Members {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (index, (field, item)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}\"{}\":{item}", field.name())?;
        }
        formatter.write_str("}")
    }
}

/// One image of a document with its system fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The commit that wrote it.
    pub commit_ts: u64,
    /// When the document came to be, in microseconds.
    pub created_at: u64,
    /// How many commits wrote it.
    pub version: u64,
    /// When it was softly deleted, in microseconds.
    pub deleted_at: Option<u64>,
    /// What is stored in it.
    pub members: Members,
}

impl Image {
    /// What the engine shows.
    pub fn of(record: &Record<'_>) -> Image {
        let members = record.document().members();
        Image {
            commit_ts: record.commit_ts().as_micros(),
            created_at: record.created_at(),
            version: record.version(),
            deleted_at: record.deleted_at(),
            members: Members(
                members
                    .map(|(name, value)| (Field::of_name(&name), Item::of(value)))
                    .collect(),
            ),
        }
    }

    /// Whether it is softly deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }
}

impl fmt::Display for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v{} @{}", self.version, self.commit_ts)?;
        if self.is_deleted() {
            formatter.write_str(" deleted")?;
        }
        formatter.write_str(" {")?;
        for (index, (field, item)) in self.members.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}{}: {}", field.name(), Told(item))?;
        }
        formatter.write_str("}")
    }
}

/// Which fields a read looks at. What it does not look at is not compared, and does not make it depend on anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// All of them, and the system fields.
    Everything,
    /// These alone; none of them: only which documents there are.
    At(Vec<Field>),
}

impl Look {
    /// As the engine takes it.
    pub fn mask(&self) -> FieldMask {
        match self {
            Look::Everything => FieldMask::all(),
            Look::At(fields) => {
                let mut mask = FieldMask::none();
                for field in fields {
                    mask.add(FieldRef::Path(field.path()));
                }
                mask
            }
        }
    }

    /// What such a look sees of an image.
    pub fn see(&self, image: &Image) -> Seen {
        match self {
            Look::Everything => Seen::Whole(image.clone()),
            Look::At(fields) => {
                let part = fields
                    .iter()
                    .map(|field| (*field, image.members.get(*field).cloned()));
                Seen::Part(part.collect())
            }
        }
    }
}

/// What a read saw of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All of it.
    Whole(Image),
    /// The fields that it looked at; `None` where they are absent.
    Part(Vec<(Field, Option<Item>)>),
}

impl Seen {
    /// A field's value; `None` where it is absent or was not looked at.
    pub fn get(&self, field: Field) -> Option<&Item> {
        match self {
            Seen::Whole(image) => image.members.get(field),
            Seen::Part(part) => {
                let found = part.iter().find(|(name, _)| *name == field)?;
                found.1.as_ref()
            }
        }
    }

    /// Whether that field was looked at.
    pub fn shows(&self, field: Field) -> bool {
        match self {
            Seen::Whole(_) => true,
            Seen::Part(part) => part.iter().any(|(name, _)| *name == field),
        }
    }

    /// A field's value as an integer; zero where it has none.
    pub fn int(&self, field: Field) -> i64 {
        match self.get(field) {
            Some(Item::Int(number)) => *number,
            _ => 0,
        }
    }

    /// A field's value as a list; empty where it has none.
    pub fn list(&self, field: Field) -> &[i64] {
        match self.get(field) {
            Some(Item::List(items)) => items,
            _ => &[],
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Whole(image) => image.fmt(formatter),
            Seen::Part(part) => {
                for (index, (field, item)) in part.iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    match item {
                        Some(item) => write!(formatter, "{space}{}: {}", field.name(), Told(item))?,
                        None => write!(formatter, "{space}{} absent", field.name())?,
                    }
                }
                Ok(())
            }
        }
    }
}
