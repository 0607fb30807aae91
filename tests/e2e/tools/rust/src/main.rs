//! What somebody writes who uses `graphql_client`: requests with typed variables, responses read into types.
//!
//! `request` prints requests, `response` reads one from the standard input. The test does the HTTP.

use graphql_client::{GraphQLQuery, Response};

type BigInt = i64;
type DateTime = String;
type Timestamp = String;
type JSON = serde_json::Value;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "schema.json",
    query_path = "src/documents.graphql",
    variables_derives = "Default",
    response_derives = "Debug",
    // Without this, a field that is `None` is sent as null, which takes it out of the document.
    skip_serializing_none
)]
struct Reprice;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "schema.json",
    query_path = "src/documents.graphql",
    variables_derives = "Default",
    response_derives = "Debug",
    skip_serializing_none
)]
struct Shelf;

mod careless {
    use super::*;

    #[derive(GraphQLQuery)]
    #[graphql(
        schema_path = "schema.json",
        query_path = "src/documents.graphql",
        variables_derives = "Default"
    )]
    pub struct Reprice;
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("response") {
        let response: Response<shelf::ResponseData> = serde_json::from_reader(std::io::stdin())?;
        let data = response.data.ok_or("no data")?;
        let titles: Vec<_> = data.books.nodes.iter().map(|book| book.line.title.clone()).collect();
        println!("{}", serde_json::json!([data.books.total_count, titles, data.books.nodes[0].isbn]));
        return Ok(());
    }
    let patch = reprice::BookPatch {
        price: Some(1.5),
        ..Default::default()
    };
    let careful = Reprice::build_query(reprice::Variables { id: "8".into(), patch });
    let patch = careless::reprice::BookPatch {
        price: Some(2.5),
        ..Default::default()
    };
    let careless = careless::Reprice::build_query(careless::reprice::Variables { id: "9".into(), patch });
    let shelf = Shelf::build_query(shelf::Variables { filter: None, first: Some(3) });
    println!("{}", serde_json::json!({"careful": careful, "careless": careless, "shelf": shelf}));
    Ok(())
}
