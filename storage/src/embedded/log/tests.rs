//! The log alone: what is read back after crashes, damage and failed writes.

use thalweg_model::CommitTs;

use super::*;
use crate::embedded::overlay::Found;
use crate::{Batch, Write};

mod power;

const SEGMENT: u64 = 64 << 10;

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Opens the log over a tree that has nothing.
    fn open(&self) -> Result<Opened, StorageError> {
        Log::open(
            self.path(),
            Position::default(),
            None,
            SEGMENT,
            Arc::default(),
        )
    }

    /// Appends batches 1 to `last`, some of them in an opening of the log of their own, and returns where each ended.
    fn fill(&self, last: u64, per_opening: u64) -> Vec<Position> {
        let mut ends = Vec::new();
        while (ends.len() as u64) < last {
            let mut log = self.open().unwrap().log;
            for _ in 0..per_opening.min(last - ends.len() as u64) {
                let number = ends.len() as u64 + 1;
                ends.push(log.append(&mut Record::encode(&batch(number))).unwrap());
            }
        }
        ends
    }

    /// How many batches are read back, which must be the first ones and whole.
    fn read_back(&self) -> Result<u64, StorageError> {
        let opened = self.open()?;
        for number in 1..=opened.batches {
            assert_eq!(
                opened.layer.get(&number.to_be_bytes()),
                Found::Value(&value(number)),
                "batch {number} of {}",
                opened.batches
            );
        }
        let beyond = (opened.batches + 1).to_be_bytes();
        assert_eq!(opened.layer.get(&beyond), Found::Unknown);
        assert_eq!(opened.head.map_or(0, |head| head.batch), opened.batches);
        assert_eq!(opened.log.end().sequence, opened.batches);
        Ok(opened.batches)
    }

    fn segment(&self, number: u64) -> PathBuf {
        segment::path(&self.path(), number)
    }

    /// The segments, in order.
    fn segments(&self) -> Vec<u64> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut numbers: Vec<u64> = entries
            .filter_map(|entry| segment::number_of(&entry.unwrap().path()))
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

fn head(number: u64) -> Head {
    Head {
        epoch: 1,
        commit_ts: CommitTs::from_micros(number),
        batch: number,
    }
}

fn value(number: u64) -> Vec<u8> {
    vec![number as u8; (number * 1_231 % 9_000) as usize]
}

fn batch(number: u64) -> Batch {
    Batch {
        expected: (number > 1).then(|| head(number - 1)),
        head: head(number),
        writes: vec![Write::Put {
            key: number.to_be_bytes().to_vec(),
            value: value(number),
        }],
    }
}

fn corrupt(error: &StorageError) -> &str {
    match error {
        StorageError::Corrupt { detail } => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn batches_are_read_back_through_segments_and_openings() {
    for per_opening in [1, 7, 100] {
        let fixture = Fixture::new();
        fixture.fill(60, per_opening);
        assert!(fixture.segments().len() > 3);
        assert_eq!(fixture.read_back().unwrap(), 60);
        assert_eq!(fixture.read_back().unwrap(), 60, "reading changes nothing");
    }
}

#[test]
fn a_record_cut_anywhere_is_a_torn_tail() {
    let fixture = Fixture::new();
    let ends = fixture.fill(9, 100);
    let (before, last) = (ends[7], ends[8]);
    assert_eq!(before.segment, last.segment);
    let file = fixture.segment(last.segment);
    let whole = fs::read(&file).unwrap();
    let (start, end) = (before.offset as usize, last.offset as usize);
    // The payload ends before the padding does.
    let payload_end = start + record::HEADER_BYTES + 49 + 7 + 8 + value(9).len();
    for written in (start..end).step_by(512) {
        let mut bytes = whole.clone();
        bytes[written..end].fill(0);
        fs::write(&file, &bytes).unwrap();
        let expected = if written >= payload_end { 9 } else { 8 };
        let opened = fixture.open().unwrap();
        assert_eq!(opened.batches, expected, "cut at {written}");
        let torn = (expected == 8 && written > start).then_some(before.offset);
        assert_eq!(
            opened.torn.map(|torn| torn.offset),
            torn,
            "cut at {written}"
        );
    }
    // Sectors may also arrive in any order.
    for lost in (start..payload_end).step_by(512) {
        let mut bytes = whole.clone();
        bytes[lost..(lost + 512).min(payload_end)].fill(0xEE);
        fs::write(&file, &bytes).unwrap();
        assert_eq!(
            fixture.read_back().unwrap(),
            8,
            "without the sector at {lost}"
        );
    }
}

#[test]
fn after_a_cut_the_log_goes_on_and_the_cut_record_stays_dead() {
    let fixture = Fixture::new();
    let ends = fixture.fill(9, 100);
    let file = fixture.segment(ends[8].segment);
    let whole = fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    bytes[ends[7].offset as usize + 100] ^= 1;
    fs::write(&file, &bytes).unwrap();

    let mut log = fixture.open().unwrap().log;
    let mut other = batch(9);
    other.writes.clear();
    log.append(&mut Record::encode(&other)).unwrap();
    // Even if its bytes were whole: the segment ends where its successor says.
    fs::write(&file, &whole).unwrap();
    let opened = fixture.open().unwrap();
    assert_eq!(opened.batches, 9);
    assert_eq!(opened.layer.get(&9_u64.to_be_bytes()), Found::Unknown);
}

/// Every byte of every record and header: a damaged one is refused, or cut if it is in the last record.
#[test]
fn no_flipped_bit_is_taken_for_data() {
    let fixture = Fixture::new();
    let ends = fixture.fill(12, 6);
    let last = ends[11];
    for number in fixture.segments() {
        let file = fixture.segment(number);
        let whole = fs::read(&file).unwrap();
        // Sparse within values, dense around headers.
        let places = (0..whole.len()).filter(|at| at % 4096 < 80 || at % 499 == 0);
        for at in places {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&file, &bytes).unwrap();
            match fixture.read_back() {
                // Padding, spare room, or a segment that was never used.
                Ok(12) => {}
                Ok(11) => assert!(
                    number == last.segment && at as u64 >= ends[10].offset.min(last.offset),
                    "the flip at {at} of segment {number} was cut"
                ),
                Ok(other) => panic!("{other} batches after a flip at {at} of segment {number}"),
                Err(error) => {
                    let detail = corrupt(&error);
                    assert!(detail.contains(file.to_str().unwrap()), "{detail}");
                    assert!(detail.contains("byte"), "{detail}");
                }
            }
        }
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(fixture.read_back().unwrap(), 12);
}

#[test]
fn damage_before_the_tail_is_refused_where_it_is() {
    let fixture = Fixture::new();
    let ends = fixture.fill(9, 100);
    assert_eq!(ends[4].segment, ends[8].segment);
    let file = fixture.segment(ends[4].segment);
    let mut bytes = fs::read(&file).unwrap();
    bytes[ends[3].offset as usize + 200] ^= 4;
    fs::write(&file, &bytes).unwrap();
    let error = fixture.read_back().unwrap_err();
    let expected = format!(
        "{} has a damaged record (at byte {})",
        file.display(),
        ends[3].offset
    );
    assert_eq!(corrupt(&error), expected);
}

#[test]
fn missing_and_shortened_segments_are_refused_by_name() {
    let fixture = Fixture::new();
    fixture.fill(60, 100);
    let segments = fixture.segments();
    let middle = fixture.segment(segments[1]);
    let whole = fs::read(&middle).unwrap();

    fs::remove_file(&middle).unwrap();
    let error = fixture.read_back().unwrap_err();
    assert_eq!(corrupt(&error), format!("{} is missing", middle.display()));

    fs::write(&middle, &whole[..whole.len() - 4096]).unwrap();
    let error = fixture.read_back().unwrap_err();
    assert!(corrupt(&error).contains("bytes instead of"), "{error}");

    fs::write(&middle, fs::read(fixture.segment(segments[2])).unwrap()).unwrap();
    let error = fixture.read_back().unwrap_err();
    assert!(corrupt(&error).contains("another segment"), "{error}");

    for garbage in [0xA5, 0] {
        fs::write(&middle, vec![garbage; whole.len()]).unwrap();
        let error = fixture.read_back().unwrap_err();
        assert!(
            corrupt(&error).contains(middle.to_str().unwrap()),
            "{error}"
        );
    }
    fs::write(&middle, &whole).unwrap();

    // The last one that was used has no successor that would miss it.
    let is_used = |number: &&u64| fs::read(fixture.segment(**number)).unwrap()[0] != 0;
    let last = fixture.segment(*segments.iter().rfind(is_used).unwrap());
    let whole = fs::read(&last).unwrap();
    let mut headless = whole.clone();
    headless[..4096].fill(0);
    fs::write(&last, &headless).unwrap();
    let error = fixture.read_back().unwrap_err();
    assert!(corrupt(&error).contains("has no header"), "{error}");

    fs::write(&last, &whole).unwrap();
    assert_eq!(fixture.read_back().unwrap(), 60);
}

#[test]
fn the_segment_that_the_tree_stopped_in_must_be_there() {
    let fixture = Fixture::new();
    let ends = fixture.fill(60, 100);
    let open = |number: u64| {
        let end = ends[number as usize - 1];
        Log::open(
            fixture.path(),
            end,
            Some(head(number)),
            SEGMENT,
            Arc::default(),
        )
    };
    let opened = open(40).unwrap();
    assert_eq!(opened.batches, 20);
    let first = fixture.segments()[0];
    assert!(first >= ends[39].segment, "what the tree has is removed");
    fs::remove_file(fixture.segment(ends[39].segment)).unwrap();
    assert!(corrupt(&open(40).err().unwrap()).ends_with("is missing"));
}

#[test]
fn a_batch_on_another_head_is_refused() {
    let fixture = Fixture::new();
    let mut log = fixture.open().unwrap().log;
    log.append(&mut Record::encode(&batch(1))).unwrap();
    log.append(&mut Record::encode(&batch(3))).unwrap();
    let error = fixture.open().err().unwrap();
    assert!(corrupt(&error).contains("where the store is at"), "{error}");
}

#[test]
fn released_segments_are_used_again_and_their_old_records_stay_dead() {
    let fixture = Fixture::new();
    let mut opened = fixture.open().unwrap();
    let mut applied = (Position::default(), None);
    for number in 1..=400 {
        let end = opened
            .log
            .append(&mut Record::encode(&batch(number)))
            .unwrap();
        if number % 30 == 0 {
            applied = (end, Some(head(number)));
            opened.log.pool().release(end.segment);
        }
    }
    let pool = Arc::clone(opened.log.pool());
    assert!(
        pool.bytes_on_disk() <= 12 * SEGMENT,
        "{} bytes of log",
        pool.bytes_on_disk()
    );
    drop(opened);
    let again = Log::open(
        fixture.path(),
        applied.0,
        applied.1,
        SEGMENT,
        Arc::default(),
    )
    .unwrap();
    assert_eq!(again.batches, 10);
    assert_eq!(again.head, Some(head(400)));
    assert_eq!(again.torn, None);
}

/// What `/dev/full` does to a write, a full disk does to one into a file that was not preallocated.
#[test]
fn a_failed_write_is_not_committed_and_never_comes_back() {
    let fixture = Fixture::new();
    let mut log = fixture.open().unwrap().log;
    log.append(&mut Record::encode(&batch(1))).unwrap();
    let healthy = log.current.take().unwrap();
    log.current = Some(Spare {
        number: healthy.number,
        file: segment::open(Path::new("/dev/full")).unwrap(),
        bytes: healthy.bytes,
    });
    // Neither the record nor the zeros in its place can be written: it is not known what is there.
    let error = log.append(&mut Record::encode(&batch(2))).unwrap_err();
    assert!(matches!(error, CommitError::Indeterminate(_)), "{error:?}");
    log.current = Some(healthy);
    let error = log.append(&mut Record::encode(&batch(2))).unwrap_err();
    assert!(
        matches!(
            error,
            CommitError::NotCommitted(StorageError::Unavailable { .. })
        ),
        "nothing is written to a sealed log: {error:?}"
    );
    drop(log);

    // Half of a record was written, and is taken back.
    let mut log = fixture.open().unwrap().log;
    log.append(&mut Record::encode(&batch(2))).unwrap();
    let mut record = Record::encode(&batch(3));
    record.stamp(log.generation, 3, log.end.check);
    let file = log.current.take().unwrap();
    segment::write_at(&file.file, log.end.offset, record.padded()).unwrap();
    let error = log.take_back(&file.file, std::io::Error::from_raw_os_error(28));
    assert!(matches!(
        error,
        CommitError::NotCommitted(StorageError::Full { .. })
    ));
    assert_eq!(fixture.read_back().unwrap(), 2);
    // And the next one takes its place.
    log.current = Some(file);
    log.append(&mut Record::encode(&batch(3))).unwrap();
    assert_eq!(fixture.read_back().unwrap(), 3);
}

#[test]
fn a_failed_sync_is_never_repeated() {
    let fixture = Fixture::new();
    let mut log = fixture.open().unwrap().log;
    log.append(&mut Record::encode(&batch(1))).unwrap();
    if let Some(current) = &mut log.current {
        // It takes every write and cannot be synced.
        current.file = segment::open(Path::new("/dev/null")).unwrap();
    }
    let error = log.append(&mut Record::encode(&batch(2))).unwrap_err();
    assert!(matches!(error, CommitError::Indeterminate(_)), "{error:?}");
    let error = log.append(&mut Record::encode(&batch(2))).unwrap_err();
    assert!(
        matches!(&error, CommitError::NotCommitted(StorageError::Unavailable { reason }) if reason.contains("failed sync")),
        "{error:?}"
    );
    assert_eq!(log.end().sequence, 1);
}

#[test]
fn records_keep_every_kind_of_write() {
    let writes = vec![
        Write::Put {
            key: vec![1; 480],
            value: vec![2; 1 << 20],
        },
        Write::Delete { key: vec![3] },
        Write::DeleteRange {
            from: Vec::new(),
            to: vec![4; 1000],
        },
        Write::Put {
            key: vec![5],
            value: Vec::new(),
        },
    ];
    let batch = Batch {
        expected: Some(head(1)),
        head: head(2),
        writes,
    };
    let mut record = Record::encode(&batch);
    assert_eq!(
        record.padded().len() as u64,
        Record::padded_bytes_of(&batch)
    );
    let check = record.stamp(7, 8, 9);
    let header = Record::find(record.padded()).unwrap();
    assert_eq!(
        (
            header.generation,
            header.sequence,
            header.previous,
            header.check
        ),
        (7, 8, 9, check)
    );
    let decoded = Record::decode(header, record.padded()).unwrap();
    assert_eq!(
        (decoded.expected, decoded.head),
        (batch.expected, batch.head)
    );
    assert_eq!(decoded.record.into_parts(), record.into_parts());
}

proptest::proptest! {
    /// Bytes that pass the check but were not made by `encode`: refused, without a panic.
    #[test]
    fn any_payload_is_decoded_or_refused(payload in proptest::collection::vec(0..5_u8, 0..200)) {
        let mut bytes = vec![0; record::HEADER_BYTES];
        bytes.extend_from_slice(&payload);
        let header = record::Header {
            check: 0,
            generation: 0,
            sequence: 0,
            previous: 0,
            length: payload.len() as u32,
        };
        if let Err(error) = Record::decode(header, &bytes) {
            corrupt(&error);
        }
    }

    #[test]
    fn positions_and_segment_headers_come_back(words in proptest::array::uniform5(0..u64::MAX), check: u32) {
        let [sequence, segment, offset, generation, number] = words;
        let before = Position { sequence, segment, offset, check };
        assert_eq!(Position::decode(&before.encode()), Some(before));
        let header = segment::Header { generation, number, file_bytes: offset, before };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        fs::write(&path, header.encode()).unwrap();
        let first = First::read(&mut segment::open(&path).unwrap()).unwrap();
        assert_eq!(first, First::Used(header));
    }
}
