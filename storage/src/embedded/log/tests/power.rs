//! kill -9 at the worst moment, and then a power loss: what was acknowledged in between stays.

use super::*;
use crate::embedded::log::durable::{fail_to_write_back, lose_power, watch};

/// Writes the header of a new segment, as `Log::begin_segment` does, and dies before it is synced.
fn die_before_the_header_is_synced(log: &Log) {
    let spare = log.pool.take(SEGMENT).unwrap();
    let header = segment::Header {
        generation: log.generation,
        number: spare.number,
        file_bytes: spare.bytes,
        before: log.end,
    };
    segment::write_at(&spare.file, 0, &header.encode()).unwrap();
}

/// Writes a record, as `Log::append` does, and dies before it is synced.
fn die_before_the_record_is_synced(log: &mut Log, number: u64) {
    let mut record = Record::encode(&batch(number));
    record.stamp(log.generation, number, log.end.check);
    let file = &log.current.as_ref().unwrap().file;
    segment::write_at(file, log.end.offset, record.padded()).unwrap();
}

fn append(log: &mut Log, number: u64) {
    log.append(&mut Record::encode(&batch(number))).unwrap();
}

#[test]
fn what_is_acknowledged_is_durable() {
    watch();
    let fixture = Fixture::new();
    fixture.fill(30, 7);
    lose_power(&fixture.path());
    assert_eq!(fixture.read_back().unwrap(), 30);
}

#[test]
fn the_header_of_an_empty_segment_is_durable_before_the_log_goes_on_after_it() {
    for before in [0, 1, 20] {
        watch();
        let fixture = Fixture::new();
        fixture.fill(before, 100);
        die_before_the_header_is_synced(&fixture.open().unwrap().log);
        fail_to_write_back();
        append(&mut fixture.open().unwrap().log, before + 1);
        lose_power(&fixture.path());
        assert_eq!(fixture.read_back().unwrap(), before + 1);
    }
}

#[test]
fn what_was_read_back_is_durable_before_anybody_sees_it() {
    watch();
    let fixture = Fixture::new();
    let mut log = fixture.open().unwrap().log;
    append(&mut log, 1);
    die_before_the_record_is_synced(&mut log, 2);
    drop(log);
    // Syncing alone would not do: the page may count as clean.
    fail_to_write_back();
    assert_eq!(fixture.read_back().unwrap(), 2);
    lose_power(&fixture.path());
    assert_eq!(fixture.read_back().unwrap(), 2);

    // Both at once: a record that was not synced, and a segment after it that was begun and not synced.
    let mut log = fixture.open().unwrap().log;
    append(&mut log, 3);
    die_before_the_record_is_synced(&mut log, 4);
    drop(log);
    die_before_the_header_is_synced(&fixture.open().unwrap().log);
    assert_eq!(fixture.read_back().unwrap(), 4);
    append(&mut fixture.open().unwrap().log, 5);
    lose_power(&fixture.path());
    assert_eq!(fixture.read_back().unwrap(), 5);
}

#[test]
fn an_adopted_segment_has_a_durable_name() {
    watch();
    let fixture = Fixture::new();
    fixture.fill(1, 1);
    let spare = fixture.segments().last().unwrap() + 1;
    // Killed before the directory was synced.
    segment::create(&fixture.segment(spare), SEGMENT).unwrap();
    let mut log = fixture.open().unwrap().log;
    append(&mut log, 2);
    assert_eq!(log.end.segment, spare);
    lose_power(&fixture.path());
    assert_eq!(fixture.read_back().unwrap(), 2);
}

/// A record of the same generation with the right number, which does not follow the one before it.
#[test]
fn a_record_that_is_not_chained_to_the_one_before_is_refused() {
    let fixture = Fixture::new();
    let mut log = fixture.open().unwrap().log;
    append(&mut log, 1);
    let mut record = Record::encode(&batch(2));
    record.stamp(log.generation, 2, log.end.check ^ 1);
    let file = &log.current.as_ref().unwrap().file;
    segment::write_at(file, log.end.offset, record.padded()).unwrap();
    let error = fixture.read_back().unwrap_err();
    assert!(corrupt(&error).contains("has a damaged record"), "{error}");
}
