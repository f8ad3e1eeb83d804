//! Where lines go when their file is renamed, removed or cannot be written.

use super::*;

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn lines_go_to_the_name_whatever_was_renamed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/cost.jsonl");
    let mut file = LineFile::new(&path);
    file.append(b"{\"a\":1}\n").unwrap();
    let moved = directory.path().join("old.jsonl");
    std::fs::rename(&path, &moved).unwrap();
    file.append(b"{\"a\":2}\n").unwrap();
    assert_eq!((text(&moved), text(&path)), ("{\"a\":1}\n".into(), "{\"a\":2}\n".into()));
}

#[test]
fn the_start_of_a_line_that_a_killed_writer_left_is_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cost.jsonl");
    let long = "x".repeat(10_000);
    for torn in ["{", "{\"a\":1,\"b\":\"", &format!("{{\"a\":\"{long}")] {
        std::fs::write(&path, format!("{{\"a\":1}}\n{torn}")).unwrap();
        LineFile::new(&path).append(b"{\"a\":2}\n").unwrap();
        assert_eq!(text(&path), "{\"a\":1}\n{\"a\":2}\n");
    }
    std::fs::write(&path, "an operator's note").unwrap();
    LineFile::new(&path).append(b"{\"a\":2}\n").unwrap();
    assert_eq!(text(&path), "an operator's note\n{\"a\":2}\n");
}

#[test]
fn writers_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cost.jsonl");
    let threads: Vec<_> = (0..4)
        .map(|writer| {
            let path = path.clone();
            std::thread::spawn(move || {
                let mut file = LineFile::new(&path);
                for number in 0..50 {
                    let line = format!("{{\"w\":{writer},\"n\":{number}}}\n");
                    while let Err(error) = file.append(line.repeat(20).as_bytes()) {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let text = text(&path);
    assert_eq!(text.lines().count(), 4 * 50 * 20);
    assert!(text.lines().all(|line| line.starts_with("{\"w\":") && line.ends_with('}')));
}

#[test]
fn a_lock_that_is_held_is_waited_for_a_bounded_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cost.jsonl");
    let holder = File::create(&path).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let started = std::time::Instant::now();
    let error = LineFile::new(&path).append(b"{}\n").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(holder);
    LineFile::new(&path).append(b"{}\n").unwrap();
}
