//! The stores: each writes a group of rows durably as one batch.

use std::ops::Bound;
use std::path::Path;

use anyhow::{Result, ensure};
use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions, WithoutTls};
use parking_lot::Mutex;
use surrealkv::{Durability, Mode, Tree, TreeBuilder};
use thalweg_model::CommitTs;
use thalweg_storage::{Backend, Batch, EmbeddedBackend, EmbeddedOptions, Head, Write};

/// A key and its value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

pub(super) trait Store: Sync {
    fn name(&self) -> &'static str;

    /// Makes rows durable. One caller at a time.
    fn write(&self, rows: &[Row]) -> Result<()>;

    /// Reads a key in a snapshot of its own.
    fn get(&self, key: &[u8]) -> Result<Option<usize>>;

    /// Waits until nothing is left to be done behind the commits, where a store can say so.
    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

/// The store of this project.
pub(super) struct Embedded {
    backend: EmbeddedBackend,
    head: Mutex<Option<Head>>,
}

impl Embedded {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let backend = EmbeddedBackend::open(path, EmbeddedOptions::default())?;
        Ok(Self {
            backend,
            head: Mutex::new(None),
        })
    }
}

impl Store for Embedded {
    fn name(&self) -> &'static str {
        "Thalweg's store"
    }

    fn write(&self, rows: &[Row]) -> Result<()> {
        let mut expected = self.head.lock();
        let batch = expected.map_or(1, |head| head.batch + 1);
        let head = Head {
            epoch: 1,
            commit_ts: CommitTs::from_micros(batch),
            batch,
        };
        let put = |(key, value): &Row| Write::Put {
            key: key.clone(),
            value: value.clone(),
        };
        self.backend.commit(&Batch {
            expected: *expected,
            head,
            writes: rows.iter().map(put).collect(),
        })?;
        *expected = Some(head);
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.backend.snapshot()?.get(key)?.map(|value| value.len()))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.backend.drain()?)
    }
}

/// LMDB with one synced transaction a group.
pub(super) struct Lmdb {
    environment: Env<WithoutTls>,
    map: Database<Bytes, Bytes>,
}

impl Lmdb {
    #[expect(
        unsafe_code,
        reason = "a memory map is sound while nothing else writes its file, and this one is in a new directory"
    )]
    pub(super) fn open(path: &Path) -> Result<Self> {
        std::fs::create_dir(path)?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(1 << 36).max_readers(256);
        // SAFETY: the directory was created just now, and nothing but this environment uses it.
        let environment = unsafe { options.open(path)? };
        let mut transaction = environment.write_txn()?;
        let map = environment.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(Self { environment, map })
    }

    /// Reads documents in one snapshot, at least the first byte of each.
    pub(super) fn read_all(&self, keys: impl Iterator<Item = Vec<u8>>) -> Result<u64> {
        let transaction = self.environment.read_txn()?;
        let mut read = 0;
        for key in keys {
            let value = self.map.get(&transaction, &key)?;
            let is_document = value.is_some_and(|value| value.first() == Some(&b'{'));
            ensure!(is_document, "a document is missing");
            read += 1;
        }
        Ok(read)
    }

    /// Reads up to `rows` documents after a key, at least the first byte of each, and returns how many there were.
    pub(super) fn scan(&self, from: &[u8], rows: usize) -> Result<u64> {
        let transaction = self.environment.read_txn()?;
        let range = (Bound::Excluded(from), Bound::Unbounded);
        let mut seen = 0;
        for row in self.map.range(&transaction, &range)?.take(rows) {
            let (_, value) = row?;
            ensure!(value.first() == Some(&b'{'), "this is no document");
            seen += 1;
        }
        Ok(seen)
    }
}

impl Store for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB, own groups"
    }

    fn write(&self, rows: &[Row]) -> Result<()> {
        let mut transaction = self.environment.write_txn()?;
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by_key(|row| &row.0);
        for (key, value) in sorted {
            self.map.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        let transaction = self.environment.read_txn()?;
        Ok(self.map.get(&transaction, key)?.map(<[u8]>::len))
    }
}

/// fjall, its plain database with one batch a group.
pub(super) struct Fjall {
    database: fjall::Database,
    keyspace: fjall::Keyspace,
}

impl Fjall {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let database = fjall::Database::builder(path).open()?;
        let keyspace = database.keyspace("rows", fjall::KeyspaceCreateOptions::default)?;
        Ok(Self { database, keyspace })
    }
}

impl Store for Fjall {
    fn name(&self) -> &'static str {
        "fjall 3.1"
    }

    fn write(&self, rows: &[Row]) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(fjall::PersistMode::SyncData));
        for (key, value) in rows {
            batch.insert(&self.keyspace, key.as_slice(), value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        Ok(self.keyspace.get(key)?.map(|value| value.len()))
    }
}

/// surrealkv, one transaction a group, synced by its commit.
pub(super) struct Surreal {
    runtime: tokio::runtime::Runtime,
    tree: Tree,
}

impl Surreal {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let _entered = runtime.enter();
        let tree = TreeBuilder::new().with_path(path.to_owned()).build()?;
        drop(_entered);
        Ok(Self { runtime, tree })
    }
}

impl Store for Surreal {
    fn name(&self) -> &'static str {
        "surrealkv 1.2"
    }

    fn write(&self, rows: &[Row]) -> Result<()> {
        let mut transaction = self.tree.begin_with_mode(Mode::WriteOnly)?;
        transaction.set_durability(Durability::Immediate);
        for (key, value) in rows {
            transaction.set(key.as_slice(), value.as_slice())?;
        }
        Ok(self.runtime.block_on(transaction.commit())?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<usize>> {
        let transaction = self.tree.begin_with_mode(Mode::ReadOnly)?;
        Ok(transaction.get(key)?.map(|value| value.len()))
    }
}
