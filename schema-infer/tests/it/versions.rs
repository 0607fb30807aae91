//! A version of the API schema after another one, from which it takes what is the same, is what it is by itself.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_model::{CollectionId, CommitTs, Document, FieldPath};
use thalweg_schema_infer::{
    ApiCollection, ApiSchema, CollectionMode, CollectionSchema, IdNames, NameRegistry, OnDelete,
    Relation, RelationKey, RelationOrigin, Shape,
};

/// A relation as it is drawn: from which field, whether that holds a list, to which collection, and its names.
type Drawn = (usize, bool, u32, usize, usize);

const FIELDS: [&[&str]; 3] = [&["b_id"], &["c_ids"], &["o", "b_id"]];
/// Some are called like types that are made for others.
const COLLECTIONS: [[&str; 3]; 3] = [
    ["a", "b", "c"],
    ["d", "e", "f"],
    ["bAggregateCount", "cGroupBucket", "aAggregateValues"],
];
const NAMES: [&str; 3] = ["x", "y", "b_id"];

/// What a collection is in one version.
#[derive(Clone, Debug)]
struct Version {
    is_there: bool,
    documents: usize,
    mode: CollectionMode,
    directives: &'static str,
    name: usize,
    relations: Vec<Drawn>,
}

/// What changes from one version to the next, of one collection.
#[derive(Clone, Debug)]
enum Step {
    IsThere(bool),
    Documents(usize),
    Mode(CollectionMode),
    Directives(&'static str),
    Name(usize),
    Relations(Vec<Drawn>),
}

fn relations() -> impl Strategy<Value = Vec<Drawn>> {
    let relation = (
        0..FIELDS.len(),
        any::<bool>(),
        0..3u32,
        0..NAMES.len(),
        0..2usize,
    );
    prop::collection::vec(relation, 0..3)
}

fn mode() -> impl Strategy<Value = CollectionMode> {
    prop::sample::select(vec![CollectionMode::Flexible, CollectionMode::Partial])
}

fn directives() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "@collection", "@collection(ttl: \"1d\")"])
}

fn version() -> impl Strategy<Value = Version> {
    let version = (
        0..DOCUMENTS.len(),
        mode(),
        directives(),
        0..2usize,
        relations(),
    );
    version.prop_map(|(documents, mode, directives, name, relations)| Version {
        is_there: true,
        documents,
        mode,
        directives,
        name,
        relations,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::IsThere),
        (0..DOCUMENTS.len()).prop_map(Step::Documents),
        mode().prop_map(Step::Mode),
        directives().prop_map(Step::Directives),
        (0..COLLECTIONS.len()).prop_map(Step::Name),
        relations().prop_map(Step::Relations),
    ]
}

impl Version {
    fn take(&mut self, step: Step) {
        match step {
            Step::IsThere(is_there) => self.is_there = is_there,
            Step::Documents(documents) => self.documents = documents,
            Step::Mode(mode) => self.mode = mode,
            Step::Directives(directives) => self.directives = directives,
            Step::Name(name) => self.name = name,
            Step::Relations(relations) => self.relations = relations,
        }
    }
}

fn relation(&(field, is_list, target, name, inverse): &Drawn) -> Arc<Relation> {
    let mut names = FIELDS[field].iter();
    let top = FieldPath::top(names.next().expect("a path has a name"));
    Arc::new(Relation {
        field: names.fold(top, |path, name| path.child(name)),
        is_list,
        target: CollectionId(target),
        key: RelationKey::Id,
        name: NAMES[name].to_owned(),
        inverse: NAMES[inverse].to_owned(),
        on_delete: OnDelete::NoAction,
        origin: RelationOrigin::Declared,
    })
}

const DOCUMENTS: [&str; 3] = [
    r#"{"b_id":"1","c_ids":["1"],"o":{"b_id":"1"}}"#,
    r#"{"n":1,"l":[1],"m":{"2020-01-01":1.5,"2020-01-02":2}}"#,
    r#"{"o":{"p":true},"AggregateCount":1}"#,
];

fn collection(number: usize, version: &Version, registry: &mut NameRegistry) -> ApiCollection {
    let mut shape = Shape::new();
    for text in &DOCUMENTS[..=version.documents] {
        shape.add(Document::parse(text.as_bytes()).expect("an object").root());
    }
    let names = registry.collection(COLLECTIONS[version.name][number]);
    let schema = CollectionSchema::derive(&names, &shape, false, registry);
    ApiCollection {
        id: CollectionId(u32::try_from(number).expect("three")),
        mode: version.mode,
        directives: version.directives.into(),
        relations: version.relations.iter().map(relation).collect(),
        schema: Arc::new(schema),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_version_after_others_is_what_it_is_by_itself(
        mut versions in prop::array::uniform3(version()),
        steps in prop::collection::vec((0..3usize, step()), 1..8),
        relay in any::<bool>(),
    ) {
        let ids = if relay { IdNames::Relay } else { IdNames::Local };
        let mut registry = NameRegistry::new();
        let mut previous: Option<ApiSchema> = None;
        for (number, step) in steps {
            let collections: Vec<ApiCollection> = (versions.iter().enumerate())
                .filter(|(_, version)| version.is_there)
                .map(|(number, version)| collection(number, version, &mut registry))
                .collect();
            let ts = CommitTs::from_micros(1);
            let alone = ApiSchema::build(collections.clone(), ts, ids, None);
            let after = ApiSchema::build(collections, ts, ids, previous.as_ref());
            prop_assert!(alone.sdl() == after.sdl(), "{:#?}", versions);
            let parts: Vec<&str> = after.sdl_parts().map(|part| &**part).collect();
            prop_assert!(parts.join("\n") == **after.sdl());
            previous = Some(after);
            versions[number].take(step);
        }
    }
}

/// A change of one collection leaves the parts of others as they are, so nobody parses them again.
#[test]
fn what_does_not_change_is_the_same_text() {
    let version = |documents| Version {
        is_there: true,
        documents,
        mode: CollectionMode::Flexible,
        directives: "",
        name: 0,
        relations: Vec::new(),
    };
    let mut registry = NameRegistry::new();
    let mut build = |documents: [usize; 3], previous: Option<&ApiSchema>| {
        let all = documents.into_iter().enumerate();
        let collections = all
            .map(|(number, documents)| collection(number, &version(documents), &mut registry))
            .collect();
        ApiSchema::build(
            collections,
            CommitTs::from_micros(1),
            IdNames::Local,
            previous,
        )
    };
    // So that what all share is the same as well.
    let before = build([2, 1, 1], None);
    let after = build([2, 2, 1], Some(&before));
    let parts = before.sdl_parts().zip(after.sdl_parts());
    let shared: Vec<bool> = parts.map(|(one, two)| Arc::ptr_eq(one, two)).collect();
    assert_eq!(shared, [true, true, false, true, true]);
}
