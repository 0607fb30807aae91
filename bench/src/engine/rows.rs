//! The probe transaction as rows of a store: a document of some 200 bytes and an index row.

use super::stores::Row;

/// A number that looks random, the same for the same input.
fn scramble(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

pub(super) fn document_key(number: u64) -> Vec<u8> {
    let mut key = b"doc/orders/".to_vec();
    key.extend_from_slice(&scramble(number).to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn index_key(value: u64, number: u64) -> Vec<u8> {
    let mut key = b"idx/orders/total/".to_vec();
    key.extend_from_slice(&(scramble(value) % 10_000).to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn document(number: u64) -> Vec<u8> {
    let mut text = format!(
        r#"{{"id":"{number:016}","customer":"{:016x}","#,
        scramble(number)
    );
    while text.len() < 190 {
        text.push_str(r#""note":"as agreed","#);
    }
    text.push_str(r#""ok":true}"#);
    text.into_bytes()
}

/// What is in the store before.
pub(super) fn preloaded(number: u64) -> [Row; 2] {
    [
        (document_key(number), document(number)),
        (index_key(number, number), Vec::new()),
    ]
}

/// The writes of transaction `number`: a document that is there gets a new content, and a new index row is added.
pub(super) fn transaction(number: u64, documents: u64) -> [Row; 2] {
    let target = scramble(number) % documents;
    [
        (document_key(target), document(number)),
        (index_key(number, documents + number), Vec::new()),
    ]
}
