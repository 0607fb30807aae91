//! Operations and their responses, as a reader would try them out.

use serde_json::{Value as Json, json};
use thalweg_model::Value;
use thalweg_resolvers::Request;

use crate::fixture::{Database, films};

/// Runs operations one after the other and checks what was said against the golden file.
struct Transcript<'d> {
    database: &'d Database,
    text: String,
}

impl<'d> Transcript<'d> {
    fn new(database: &'d Database) -> Self {
        Transcript {
            database,
            text: String::new(),
        }
    }

    fn send(&mut self, query: &str) -> &mut Self {
        self.exchange(&Request::text(query), None)
    }

    fn send_with(&mut self, query: &str, variables: &Json) -> &mut Self {
        let value = Value::parse(variables.to_string().as_bytes()).unwrap();
        let request = Request {
            variables: Some(value),
            ..Request::text(query)
        };
        self.exchange(&request, Some(variables))
    }

    fn exchange(&mut self, request: &Request, variables: Option<&Json>) -> &mut Self {
        self.text
            .push_str(request.query.as_deref().unwrap_or_default().trim());
        self.text.push('\n');
        if let Some(variables) = variables {
            self.text.push_str(&format!("variables {variables}\n"));
        }
        let response = match self.database.try_run(request) {
            Ok(evaluation) => evaluation.body().clone(),
            Err(failure) => failure.body(),
        };
        // The bytes as they are, so that the order of fields shows.
        let parsed: serde_json::Result<Json> = serde_json::from_slice(&response);
        assert!(parsed.is_ok(), "{response:?}");
        self.text.push_str(&String::from_utf8_lossy(&response));
        self.text.push_str("\n\n");
        self
    }

    fn check(&self, name: &str) {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, self.text);
        });
    }
}

#[test]
fn reading_documents() {
    let database = films();
    Transcript::new(&database)
        .send("{ film(id: \"a\") { __typename nodeId id title year rating seen gross budget tags released added mixed } }")
        .send("{ film(id: \"a\") { _version _commitTs _createdAt _updatedAt _deletedAt _json } }")
        .send("{ film(id: \"a\") { studio { name city { zip __typename } } cast { age name } } }")
        .send("{ c: film(id: \"c\") { title seen tags studio { name } cast { name age } mixed } d: film(id: \"d\") { tags US_Gross budget mixed } }")
        .send("{ film(id: \"none\") { id } }")
        .send("{ node(nodeId: \"MTY6YQ\") { __typename nodeId ... on Film { title } } nothing: node(nodeId: \"?\") { nodeId } }")
        .check("reading_documents");
}

#[test]
fn lists() {
    let database = films();
    Transcript::new(&database)
        .send("{ films { nodes { id } totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }")
        .send("{ films(orderBy: [{rating: DESC}], first: 2) { edges { cursor node { id rating } } pageInfo { hasNextPage hasPreviousPage } } }")
        .send("{ films(filter: {year: {gte: 1982, lt: 1985}}, orderBy: [{year: ASC}]) { nodes { id year } totalCount } }")
        .send("{ films(filter: {studio: {city: {zip: {eq: \"90064\"}}}}) { nodes { id } } }")
        .send("{ films(orderBy: [{studio: {name: DESC}}, {title: ASC}]) { nodes { id studio { name } } } }")
        .send("{ films(last: 1, orderBy: [{_createdAt: ASC}]) { nodes { id } pageInfo { hasNextPage hasPreviousPage } } }")
        .send("{ films(filter: {title: {isNull: true}}) { totalCount } }")
        .check("lists");
}

#[test]
fn selections() {
    let database = films();
    Transcript::new(&database)
        .send("query A { film(id: \"a\") { ...F ... on Film { year } ... on Node { nodeId } title: year } } fragment F on Film { id cast { name } cast { age } studio { name } ...G } fragment G on Film { studio { city { zip } } }")
        .send_with(
            "query ($with: Boolean!, $skip: Boolean = true) { film(id: \"a\") { id title @include(if: $with) year @skip(if: $skip) ... @include(if: $with) { rating } } }",
            &json!({ "with": true }),
        )
        .send_with(
            "query ($with: Boolean!, $skip: Boolean = true) { film(id: \"a\") { id title @include(if: $with) year @skip(if: $skip) ... @include(if: $with) { rating } } }",
            &json!({ "with": false, "skip": false }),
        )
        .send("{ __typename film(id: \"a\") { __typename } __type(name: \"PageInfo\") { name kind fields { name } } }")
        .send("subscription { film(id: \"a\") { title } }")
        .send_with(
            "query ($filter: FilmFilter, $order: [FilmOrderBy!], $n: Int = 1) { films(filter: $filter, orderBy: $order, first: $n) { nodes { id } totalCount } }",
            &json!({ "filter": { "year": { "gt": 1980 } }, "order": { "year": "DESC" } }),
        )
        .check("selections");
}

#[test]
fn a_keyed_map() {
    let database = Database::empty();
    let documents: Vec<Json> = (0..40)
        .map(|n| {
            let mut translations = serde_json::Map::new();
            for key in ["deu", "fra", "ita", "rus", "zho"]
                .iter()
                .cycle()
                .skip(n % 5)
                .take(3)
            {
                let value = json!({ "official": format!("{key} {n}"), "common": format!("{n}") });
                translations.insert((*key).to_owned(), value);
            }
            for k in 0..3 {
                let value = json!({ "official": format!("o {n}"), "common": format!("{n}") });
                translations.insert(format!("k{}", n * 3 + k), value);
            }
            json!({ "id": format!("{n:02}"), "translations": translations })
        })
        .collect();
    database.insert("countries", &documents);
    Transcript::new(&database)
        .send("{ country(id: \"01\") { translations { __typename key value { common official } } } }")
        .send("{ countries(filter: {translations: {entry: {key: \"k0\"}}}) { nodes { id } } }")
        .send("{ countries(filter: {translations: {entry: {key: \"deu\", value: {common: {eq: \"4\"}}}}}) { nodes { id } } }")
        .send("mutation { updateCountry(id: \"01\", patch: {translations: {set: [{key: \"new\", value: {common: \"n\"}}], remove: [\"fra\", \"ita\", \"rus\"]}}) { translations { key value { common } } } }")
        .send("mutation { createCountry(id: \"x\", input: {translations: [{key: \"a b\", value: {official: \"o\"}}]}) { _json } }")
        .check("a_keyed_map");
}

#[test]
fn writing_documents() {
    let database = films();
    Transcript::new(&database)
        .send("mutation { createFilm(input: {id: \"e\", title: \"E\", year: 2000, studio: {name: \"S\", city: {zip: \"1\"}}, tags: [\"x\"], US_Gross: 5, _extra: {brandNew: {a: [1.50]}}}) { id title _version _json } }")
        .send("{ film(id: \"e\") { brandNew { a } } }")
        .send("mutation { updateFilm(id: \"a\", patch: {title: null, year: 1980, studio: {city: {zip: \"2\"}}, tags: [\"t\"], _inc: {gross: 10}, _extra: {x: 1}, _set: {y: null}}) { _version _json gross } }")
        .send("mutation { updateFilm(id: \"b\", patch: {_push: {tags: [\"p\"]}, _unset: [year]}) { tags year } }")
        .send("mutation { updateFilm(id: \"b\", patch: {_addToSet: {tags: [\"p\", \"q\"]}}) { tags } }")
        .send("mutation { updateFilm(id: \"b\", patch: {_pull: {tags: [\"p\"]}}) { tags _version } }")
        .send("mutation { a: upsertFilm(id: \"b\", input: {year: 1, studio: {city: {zip: \"9\"}}}) { year studio { name city { zip } } } b: upsertFilm(id: \"f\", input: {year: 2}) { id year _version } }")
        .send("mutation { replaceFilm(id: \"f\", input: {title: \"only\"}, ifVersion: 1) { _json _version } none: replaceFilm(id: \"zzz\", input: {title: \"only\"}) { id } }")
        .send("mutation { deleteFilm(id: \"f\") { id title _deletedAt } none: deleteFilm(id: \"zzz\") { id } }")
        .send("{ film(id: \"f\") { id } gone: film(id: \"f\", deleted: INCLUDE) { id _deletedAt } films(deleted: ONLY) { nodes { id } totalCount } }")
        .send("mutation { restoreFilm(id: \"f\") { id _deletedAt _version } }")
        .send("mutation { deleteFilm(id: \"f\", permanent: true) { id title } }")
        .send("mutation { createFilms(inputs: [{title: \"m1\", id: \"m1\"}, {title: \"m2\", id: 7}]) { id title } }")
        .send("mutation { updateFilms(filter: {title: {startsWith: \"m\"}}, patch: {_inc: {year: 1}}) { count ids } }")
        .send("mutation { deleteFilms(filter: {title: {startsWith: \"m\"}}) { count ids __typename } }")
        .check("writing_documents");
}

#[test]
fn any_collection() {
    let database = films();
    Transcript::new(&database)
        .send("mutation { insertDocuments(collection: \"people\", documents: [{id: 1, name: \"Ann\", n: 12345678901234567890}, {id: \"2\", name: \"Bob\", 'x': 1}]) }".replace("'x'", "x").as_str())
        .send("{ people { nodes { id name n _json } } }")
        .send_with(
            "mutation ($documents: [JSON!]!, $x: JSON) { insertDocuments(collection: \"people\", documents: $documents) b: insertDocuments(collection: \"people\", documents: [{id: \"v\", x: $x, list: [$x]}]) }",
            &json!({ "documents": [{ "id": "3", "name": "C" }], "x": { "deep": [true] } }),
        )
        .send("{ collections { name typeName listField mode count createdAt } }")
        .send("mutation { createCollection(name: \"things\") { name typeName listField count } }")
        .send("mutation { renameCollection(from: \"people\", to: \"humans\") { name typeName count } }")
        .send("mutation { truncateCollection(name: \"humans\") { name count } }")
        .send("mutation { dropCollection(name: \"humans\") { name count } }")
        .send("{ collections { name } }")
        .send("{ things { nodes { id } totalCount } }")
        .check("any_collection");
}
