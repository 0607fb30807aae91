//! What the binary does while it is profiled: a server with some shop in it, and requests of all the usual kinds.
//!
//! It is none of the benchmarks: other documents, other operations. Every answer is checked, since the profile of a server
//! that refuses requests would be worth nothing.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::Connection;
use crate::server::Server;
use crate::{tools, workspace};

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    /// Enough for a profile.
    Whole,
    /// Each operation a few times, to see that they are valid.
    Brief,
}

impl Extent {
    fn choose(self, whole: u64, brief: u64) -> u64 {
        match self {
            Extent::Whole => whole,
            Extent::Brief => brief,
        }
    }
}

const CLIENTS: u64 = 4;
const CUSTOMERS: u64 = 1_000;
const STATUSES: [&str; 4] = ["placed", "packed", "sent", "returned"];
const CITIES: [&str; 5] = ["Bergen", "Łódź", "Nagoya", "Quito", "Tromsø"];

const SCHEMA: &str = r#"
type Customer @collection(name: "customers") @index(fields: ["city"]) { name: String }
type Order @collection(name: "orders") @index(fields: ["status", "placedAt"]) @index(fields: ["customerId"]) {
  customer: Customer @relation(field: "customerId", inverse: "orders")
}
"#;

/// An operation, and how often it is sent in a round.
struct Asked {
    weight: u64,
    text: &'static str,
    variables: fn(&Numbers) -> Value,
}

/// What the variables of a request are made of.
struct Numbers {
    /// Of the request; no two have the same.
    turn: u64,
    /// How many orders there were at first.
    orders: u64,
}

impl Numbers {
    /// One of the orders, scattered over all of them.
    fn order(&self) -> String {
        format!("o{:06}", self.turn * 7919 % self.orders)
    }

    fn customer(&self) -> String {
        format!("c{:04}", self.turn * 31 % CUSTOMERS)
    }

    fn status(&self) -> &'static str {
        STATUSES[(self.turn % 4) as usize]
    }
}

const ASKED: &[Asked] = &[
    Asked {
        weight: 12,
        text: "query Order($id: ID!) { order(id: $id) { id customerId placedAt status total express note _version } }",
        variables: |it| json!({ "id": it.order() }),
    },
    Asked {
        weight: 4,
        text: "query Detail($id: ID!) { order(id: $id) { number: id total tags lines { sku quantity price } shipping { street postcode }
               customer { id name city } _updatedAt _json } }",
        variables: |it| json!({ "id": it.order() }),
    },
    Asked {
        weight: 2,
        text: "query Nobody($id: ID!) { customer(id: $id) { id name } }",
        variables: |it| json!({ "id": format!("x{}", it.turn) }),
    },
    Asked {
        weight: 6,
        text: "query Page($after: Int!) { orders(first: 25, offset: $after) { nodes { id status total placedAt customer { id name } }
               pageInfo { hasNextPage endCursor } } }",
        variables: |it| json!({ "after": it.turn % 200 }),
    },
    Asked {
        weight: 3,
        text: "query Customers($offset: Int!) { customers(first: 10, offset: $offset) { edges { cursor node { id name email city
               orders(first: 3, orderBy: [{placedAt: DESC}]) { totalCount nodes { id total } } } } } }",
        variables: |it| json!({ "offset": it.turn % 300 }),
    },
    Asked {
        weight: 4,
        text: "query Filtered($status: String!, $total: Float!) { orders(first: 20, orderBy: [{placedAt: DESC}],
               filter: {status: {eq: $status}, total: {gte: $total}}) { nodes { id placedAt total note } } }",
        variables: |it| json!({ "status": it.status(), "total": it.turn % 300 }),
    },
    Asked {
        weight: 2,
        text: "query Related($city: String!) { orders(first: 10, filter: {customer: {city: {eq: $city}}, status: {in: [\"sent\"]}})
               { nodes { id status customer { city } } } }",
        variables: |it| json!({ "city": CITIES[(it.turn % 5) as usize] }),
    },
    Asked {
        weight: 1,
        text: "query Totals { customersAggregate(groupBy: [city]) { groups { key { city } count max { since } } } }",
        variables: |_| json!({}),
    },
    Asked {
        weight: 1,
        text: "query Long { orders(first: 200) { nodes { id customerId placedAt status total express note tags lines { sku quantity price } } } }",
        variables: |_| json!({}),
    },
    Asked {
        weight: 2,
        text: "mutation Create($input: OrderInput!) { createOrder(input: $input) { id _version } }",
        variables: |it| {
            json!({ "input": { "customerId": it.customer(), "status": it.status(), "total": 9.5, "express": true,
                "placedAt": "2026-11-28T10:00:00Z", "tags": ["new"], "note": "by hand" } })
        },
    },
    Asked {
        weight: 3,
        text: "mutation Update($id: ID!, $patch: OrderPatch!) { updateOrder(id: $id, patch: $patch) { id status total } }",
        variables: |it| json!({ "id": it.order(), "patch": { "status": it.status(), "total": it.turn % 500 } }),
    },
    Asked {
        weight: 1,
        text: "mutation Insert($documents: [JSON!]!) { insertDocuments(collection: \"visits\", documents: $documents) }",
        variables: |it| json!({ "documents": [{ "page": it.turn % 50, "at": "2026-11-28T10:00:00Z", "by": it.customer() }] }),
    },
];

/// Starts the binary, and sends it all of that.
pub(crate) fn train(binary: &Path, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (data, log) = (
        scratch.path().join("data"),
        scratch.path().join("server.log"),
    );
    let server = Server::start(binary, &data, &log, &[])?;
    let orders = extent.choose(40_000, 1_000);
    for (collection, documents) in [
        (
            "customers",
            (0..CUSTOMERS).map(customer).collect::<String>(),
        ),
        ("orders", (0..orders).map(order).collect()),
    ] {
        let file = scratch.path().join(format!("{collection}.ndjson"));
        fs::write(&file, documents)?;
        let mut import = tools::command(binary, &["import"], workspace::root());
        import.arg(&file);
        import.args(["--collection", collection, "--server", server.url()]);
        tools::run(&mut import)?;
    }
    let declared = json!({
        "query": "mutation Declare($sdl: String!) { applySchema(sdl: $sdl) { changes } }",
        "variables": { "sdl": SCHEMA },
    });
    ask(&mut Connection::open(server.address())?, &declared)?;
    let rounds = extent.choose(60, 3);
    let live = (0..CLIENTS).map(|client| Live::open(&server, client));
    let live = live.collect::<Result<Vec<_>>>()?;
    let asked = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let address = server.address();
                scope.spawn(move || send(address, client, rounds, orders))
            })
            .collect();
        let done = clients.into_iter().map(|client| client.join());
        done.collect::<Vec<_>>()
    });
    for done in asked {
        done.map_err(|_| anyhow::anyhow!("a client panicked"))?
            .with_context(|| server.log_end())?;
    }
    for live in live {
        live.close()?;
    }
    server.stop()
}

fn customer(number: u64) -> String {
    let city = CITIES[(number % 5) as usize];
    let document = json!({
        "id": format!("c{number:04}"), "name": format!("Customer {number}"), "email": format!("c{number}@example.org"),
        "city": city, "since": format!("20{:02}-01-15", number % 25), "tier": number % 3,
    });
    format!("{document}\n")
}

fn order(number: u64) -> String {
    let (day, hour) = (1 + number % 28, number % 24);
    let lines: Vec<Value> = (0..=number % 3)
        .map(|line| json!({ "sku": format!("S-{}", number * 3 + line), "quantity": 1 + line, "price": 4.25 }))
        .collect();
    let document = json!({
        "id": format!("o{number:06}"), "customerId": format!("c{:04}", number * 13 % CUSTOMERS),
        "placedAt": format!("2026-{:02}-{day:02}T{hour:02}:30:00Z", 1 + number % 12),
        "status": STATUSES[(number % 4) as usize], "total": (number % 40_000) as f64 / 100.0, "express": number.is_multiple_of(7),
        "tags": ["web", CITIES[(number % 5) as usize]], "lines": lines,
        "shipping": { "street": format!("Road {}", number % 90), "postcode": format!("{:05}", number % 99_999) },
        "note": if number.is_multiple_of(3) { Value::Null } else { json!("the \"green\" door") },
    });
    format!("{document}\n")
}

fn send(address: &str, client: u64, rounds: u64, orders: u64) -> Result<()> {
    let mut connection = Connection::open(address)?;
    let mut turn = client;
    for _ in 0..rounds {
        for asked in ASKED {
            for _ in 0..asked.weight {
                let numbers = Numbers { turn, orders };
                let request =
                    json!({ "query": asked.text, "variables": (asked.variables)(&numbers) });
                ask(&mut connection, &request)?;
                turn += CLIENTS;
            }
        }
    }
    Ok(())
}

fn ask(connection: &mut Connection, request: &Value) -> Result<()> {
    let response = connection.post_json("/graphql", &request.to_string())?;
    let body = String::from_utf8_lossy(&response.body);
    if response.status != 200 || body.contains("\"errors\":") {
        bail!("{request} was answered with {} {body}", response.status);
    }
    Ok(())
}

/// A live query whose events are read and thrown away.
struct Live {
    stream: TcpStream,
    reader: thread::JoinHandle<u64>,
}

impl Live {
    fn open(server: &Server, client: u64) -> Result<Live> {
        let status = STATUSES[(client % 4) as usize];
        let text = format!(
            "query @live {{ orders(first: 10, filter: {{status: {{eq: \"{status}\"}}}}, orderBy: [{{placedAt: DESC}}]) \
             {{ nodes {{ id total }} totalCount }} }}"
        );
        let body = json!({ "query": text }).to_string();
        let mut request = format!("POST /graphql HTTP/1.1\r\nhost: {}\r\n", server.address());
        request.push_str("content-type: application/json\r\naccept: text/event-stream\r\n");
        write!(request, "content-length: {}\r\n\r\n{body}", body.len())?;
        let mut stream = TcpStream::connect(server.address())?;
        stream.write_all(request.as_bytes())?;
        let mut events = stream.try_clone()?;
        let reader = thread::spawn(move || {
            let (mut buffer, mut bytes) = ([0; 16 << 10], 0);
            while let Ok(read @ 1..) = events.read(&mut buffer) {
                bytes += read as u64;
            }
            bytes
        });
        Ok(Live { stream, reader })
    }

    fn close(self) -> Result<()> {
        self.stream.shutdown(Shutdown::Both)?;
        let bytes = self
            .reader
            .join()
            .map_err(|_| anyhow::anyhow!("a reader panicked"))?;
        ensure!(bytes > 500, "a live query has told nothing");
        Ok(())
    }
}
