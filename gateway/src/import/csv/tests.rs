use super::super::record::testing::{Split, split};
use super::*;
use proptest::prelude::*;

fn whole(body: &str) -> Split {
    split(Csv::new(), body.as_bytes(), &[usize::MAX])
}

fn json(header: &str, row: &str) -> Result<String, String> {
    let header = Header::read(header.as_bytes()).expect("a header");
    let document = header.document(row.as_bytes())?;
    Ok(String::from_utf8_lossy(document.json()).into_owned())
}

#[test]
fn rows_are_cut_out_with_their_lines() {
    let found = whole("a,b\r\n1,2\r\n\r\n\"x\n\"\"y\",3\nlast,4");
    let expected: Split = vec![
        (2, Ok("1,2\r".into())),
        (4, Ok("\"x\n\"\"y\",3".into())),
        (6, Ok("last,4".into())),
    ];
    assert_eq!(found, expected);
    assert!(whole("").is_empty() && whole("a,b\n").is_empty());
}

#[test]
fn cells_become_the_values_they_certainly_are() {
    for (cell, value) in [
        ("", "null"),
        ("\"\"", "\"\""),
        ("\"7\"", "\"7\""),
        ("true", "true"),
        ("FALSE", "false"),
        ("True", "\"True\""),
        ("0", "0"),
        ("-7", "-7"),
        ("007", "\"007\""),
        ("-07", "\"-07\""),
        ("+1", "\"+1\""),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740992", "\"9007199254740992\""),
        ("1.50", "1.50"),
        ("00.5", "\"00.5\""),
        (".5", "\".5\""),
        ("5.", "\"5.\""),
        ("1e5", "\"1e5\""),
        ("1e-05", "1e-05"),
        ("1.5E3", "1.5E3"),
        ("1.5e999", "\"1.5e999\""),
        ("1.5e", "\"1.5e\""),
        ("-", "\"-\""),
        ("NaN", "\"NaN\""),
        (" 7", "\" 7\""),
        ("a\"b", "\"a\\\"b\""),
        ("\"a,\"\"b\"\"\n\"", "\"a,\\\"b\\\"\\n\""),
    ] {
        assert_eq!(json("x", cell), Ok(format!("{{\"x\":{value}}}")), "{cell}");
    }
}

#[test]
fn a_row_becomes_a_document() {
    assert_eq!(
        json("id,\"the name\"", "7,\"x\"\r"),
        Ok("{\"id\":7,\"the name\":\"x\"}".into())
    );
    for (row, expected) in [
        ("1", "1 cells, the header 2"),
        ("1,2,3", "3 cells, the header 2"),
        ("\"1\"x,2", "after the quoted cell 1"),
        ("1,\"2", "cell 2 is not closed"),
    ] {
        let error = json("a,b", row).expect_err("must be refused");
        assert!(error.contains(expected), "{row}: {error}");
    }
    let header = Header::read(b"a").expect("a header");
    assert!(
        header
            .document(b"\xff")
            .expect_err("not UTF-8")
            .contains("byte 0")
    );
}

#[test]
fn a_header_that_cannot_be_used_stops_the_reading() {
    for (body, expected) in [
        ("a,a\n1,2\n", "two columns are named `a`"),
        (",b\n1,2\n", "column 1 has no name"),
    ] {
        let found = whole(body);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            matches!(&found[0], (1, Err(why)) if why.contains(expected)),
            "{found:?}"
        );
    }
}

#[test]
fn a_quote_that_is_not_closed_is_reported() {
    let found = whole("a\n1\n\"x\n2\n");
    assert_eq!(found[0], (2, Ok("1".into())));
    assert!(
        matches!(&found[1], (3, Err(why)) if why.contains("opened on line 3")),
        "{found:?}"
    );
}

#[test]
fn a_row_over_the_limit_is_refused() {
    let found = whole(&format!("a\n{}\n2\n", "x".repeat(41)));
    assert!(
        matches!(&found[0], (2, Err(why)) if why.contains("40 bytes")),
        "{found:?}"
    );
    assert_eq!(found[1], (3, Ok("2".into())));
    let found = whole(&format!("a\n\"{}\n2\n", "x".repeat(41)));
    assert!(
        matches!(&found[1], (2, Err(why)) if why.contains("probably")),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
}

proptest! {
    #[test]
    fn chunk_boundaries_do_not_matter(
        body in "([,\"a1\r]|\n){0,200}",
        sizes in proptest::collection::vec(1_usize..20, 1..8),
    ) {
        prop_assert_eq!(split(Csv::new(), body.as_bytes(), &sizes), whole(&body));
    }

    #[test]
    fn what_the_csv_crate_writes_is_read_back(
        rows in proptest::collection::vec(
            proptest::collection::vec("[a1,\"\n .é]{0,3}", 2..=2), 1..6),
    ) {
        let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(vec![]);
        writer.write_record(["h1", "h2"]).expect("in memory");
        for row in &rows {
            writer.write_record(row).expect("in memory");
        }
        let body = String::from_utf8(writer.into_inner().expect("in memory")).expect("UTF-8");
        let found: Vec<Vec<String>> = whole(&body)
            .into_iter()
            .map(|(_, record)| {
                let record = record.expect("well-formed");
                let cells = Cells::of(record.as_bytes()).expect("well-formed");
                cells.map(|cell| cell.expect("well-formed").text.into_owned()).collect()
            })
            .collect();
        let expected: Vec<Vec<String>> =
            rows.into_iter().collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_header_has_so_many_columns_at_most() {
    let header = |columns: usize| {
        let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
        names.join(",")
    };
    assert!(Header::read(header(COLUMNS_MAX).as_bytes()).is_ok());
    // Comparing every name with every other would take longer than anybody waits for this test.
    let error = Header::read(header(1_000_000).as_bytes()).expect_err("too many");
    assert!(error.contains("more than 10000 columns"), "{error}");
    let twice = format!("{},c7", header(9_000));
    let error = Header::read(twice.as_bytes()).expect_err("named twice");
    assert_eq!(error, "two columns are named `c7`");
}

#[test]
fn cells_that_no_column_takes_are_counted() {
    let error = json("a", &",".repeat(1 << 20)).expect_err("must be refused");
    assert_eq!(error, "the row has 1048577 cells, the header 1");
}
