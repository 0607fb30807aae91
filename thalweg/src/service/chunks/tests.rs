use futures_util::StreamExt;

use super::*;

const CHUNKS: u8 = 20;

/// What long responses share where each may wait for its client so long, and for room no longer.
fn shared(runs_max: usize, kept_kib_max: usize, client: Duration) -> LongResponses {
    let room = client + Duration::from_millis(50);
    LongResponses::new(runs_max, kept_kib_max << 10, Patience { client, room })
}

/// A run that sends chunks, and how many of them its client has not had when it ends.
async fn run(patience: Duration, client_takes: bool) -> (u8, Vec<u8>) {
    let (sink, mut receiver) = shared(1, 1_000, patience).channel();
    let (over, was_over) = tokio::sync::oneshot::channel();
    let over = std::sync::Mutex::new(Some(over));
    let driver = tokio::spawn(drive(sink, move |sink| {
        for number in 0..CHUNKS {
            assert!(sink.take(Bytes::from(vec![number])));
        }
        let over = over.lock().expect("fine").take().expect("one run");
        let _ = over.send(u8::try_from(sink.kept.len()).unwrap_or(u8::MAX));
        Ended::Sent
    }));
    let mut got = Vec::new();
    if client_takes {
        if let Some(First::Chunk(Ok(chunk))) = receiver.recv().await {
            got.extend_from_slice(&chunk);
        }
        let chunks: Vec<Chunk> = rest(receiver).collect().await;
        for chunk in chunks {
            got.extend_from_slice(&chunk.expect("whole"));
        }
        driver.await.expect("no panic");
        return (was_over.await.expect("it ended"), got);
    }
    let kept = was_over.await.expect("it ended");
    let chunks: Vec<Chunk> = rest(receiver).collect().await;
    for chunk in chunks {
        got.extend_from_slice(&chunk.expect("whole"));
    }
    (kept, got)
}

#[tokio::test]
async fn a_client_that_takes_is_waited_for() {
    let (kept, got) = run(Duration::from_secs(60), true).await;
    assert_eq!(kept, 0);
    assert_eq!(got, (0..CHUNKS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_that_does_not_take_gets_the_rest_later() {
    let (kept, got) = run(Duration::from_millis(50), false).await;
    assert_eq!(usize::from(kept), usize::from(CHUNKS) - AHEAD_MAX);
    assert_eq!(got, (0..CHUNKS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_that_goes_ends_the_run() {
    let (sink, mut receiver) = shared(1, 0, Duration::from_secs(60)).channel();
    let driver = tokio::spawn(drive(sink, |sink| {
        while sink.take(Bytes::from_static(b"x")) {}
        Ended::Broken
    }));
    assert!(receiver.recv().await.is_some());
    drop(receiver);
    driver.await.expect("it ended");
}

#[tokio::test]
async fn a_run_that_breaks_off_or_panics_does_not_look_whole() {
    for panics in [false, true] {
        let (sink, receiver) = shared(1, 0, Duration::from_secs(60)).channel();
        tokio::spawn(drive(sink, move |sink| {
            assert!(sink.take(Bytes::from_static(b"x")));
            assert!(!panics, "asked to");
            Ended::Broken
        }));
        let chunks: Vec<Chunk> = rest(receiver).collect().await;
        assert_eq!(chunks.len(), 2);
        assert!(chunks[1].is_err());
    }
}

#[tokio::test]
async fn where_there_is_no_room_a_slow_client_is_broken_off() {
    let (sink, receiver) = shared(1, 3, Duration::from_millis(50)).channel();
    let driver = tokio::spawn(drive(sink, |sink| {
        for _ in 0..CHUNKS {
            if !sink.take(Bytes::from_static(b"x")) {
                return Ended::Broken;
            }
        }
        Ended::Sent
    }));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let chunks: Vec<Chunk> = rest(receiver).collect().await;
    assert_eq!(chunks.len(), AHEAD_MAX + 3 + 1);
    assert!(chunks.last().is_some_and(Result::is_err));
    driver.await.expect("it ended");
}

#[tokio::test]
async fn a_long_response_waits_for_its_turn_and_begins_anew() {
    let shared = shared(1, 1_000, Duration::from_secs(60));
    let run = |sink: &mut ToClient| {
        for number in 0..CHUNKS {
            if !sink.take(Bytes::from(vec![number])) {
                return Ended::Broken;
            }
        }
        Ended::Sent
    };
    let (first, mut of_first) = shared.channel();
    tokio::spawn(drive(first, run));
    // It has its turn from its first chunk on.
    assert!(of_first.recv().await.is_some());
    let (second, of_second) = shared.channel();
    let second = tokio::spawn(drive(second, run));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(of_second.is_empty());
    let chunks: Vec<Chunk> = rest(of_first).collect().await;
    assert_eq!(chunks.len(), usize::from(CHUNKS) - 1);
    let chunks: Vec<Chunk> = rest(of_second).collect().await;
    let got: Vec<u8> = chunks
        .into_iter()
        .flat_map(|chunk| chunk.expect("whole").to_vec())
        .collect();
    assert_eq!(got, (0..CHUNKS).collect::<Vec<_>>());
    second.await.expect("it ended");
    assert_eq!(shared.turns.available_permits(), 1);
    assert_eq!(shared.room_kib.available_permits(), 1_000);
}
