//! The commands of `examples/commands`, as they stand there.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{events, home_with, lines};
use crate::server::{Home, Server};

/// A server with the example's file, beside folders as its README makes them.
async fn example() -> (Home, Server) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/commands/quell.toml");
    let home = home_with(&fs::read_to_string(file).expect("it is there"));
    fs::create_dir_all(home.path().join("data/photos/2026")).expect("a folder");
    fs::create_dir(home.path().join("out")).expect("a folder");
    let mut command = home.command(&[]);
    // Whoever asks for its tasks: the list names `admin`.
    command.env("QUELL_API_TOKENS", "alice=alice-token-of-16-or-more;admin=admin-token-of-16-or-more");
    let server = Server::of(&home, command).await;
    (home, server)
}

/// The names in the folder of archives.
fn archives(home: &Home) -> Vec<String> {
    let files = fs::read_dir(home.path().join("out")).expect("a folder");
    files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect()
}

#[actix_web::test]
async fn the_archive_of_the_example_is_made_or_leaves_nothing() {
    let (home, server) = example().await;
    let client = server.client("alice");
    let small = home.path().join("data/photos/2026/a b.txt");
    fs::write(small, "small").expect("it is written");
    let input = json!({ "name": "small", "folder": "photos" });
    let task = client.command("archive", input).await;
    let row = client.ended(&task).await;
    assert_eq!(row["final_value"], json!({ "exit_code": 0 }), "{row}");
    assert_eq!(archives(&home), [format!("small-{}.tar.gz", task.id)]);
    // So large that it is still at work when it is asked to stop, and takes no room: a hole.
    let large = fs::File::create(home.path().join("data/photos/large")).expect("it is made");
    large.set_len(1 << 40).expect("a hole");
    let task = client.command("archive", json!({ "name": "large", "folder": "photos" })).await;
    let begun = client.watch(&task).await.until("stderr").await;
    assert!(lines(&begun, "stderr")[0].contains("1000 records read"), "{begun:?}");
    assert_eq!(archives(&home).len(), 2);
    let receipt = client.cancel(&task, &json!({ "reason": "wrong folder" })).await.with(200);
    assert_eq!(receipt["stopped_by"], "killed");
    assert_eq!(client.show(&task).await["cleanup"], "ok");
    assert_eq!(archives(&home).len(), 1);
    for folder in ["..", "a/b", "/etc"] {
        let input = json!({ "input": { "name": "x", "folder": folder } });
        client.post_json("/tasks/command/archive", &input).await.names(422, "invalid-input", "input.folder");
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_other_commands_of_the_example_do_what_they_say() {
    let (home, server) = example().await;
    fs::write(home.path().join("data/photos/2026/one"), "one").expect("it is written");
    let (alice, admin) = (server.client("alice"), server.client("admin"));
    let input = json!({ "input": { "folder": "photos" } });
    alice.post_json("/tasks/command/checksums", &input).await.problem(403, "forbidden");
    let task = admin.command("checksums", json!({ "folder": "photos" })).await;
    admin.ended(&task).await;
    let told = lines(&events(&admin, &task).await, "stdout");
    assert!(told.len() == 1 && told[0].ends_with("  data/photos/2026/one"), "{told:?}");
    let task = alice.command("count", json!({ "to": 3, "unit": "pears" })).await;
    alice.ended(&task).await;
    assert_eq!(lines(&events(&alice, &task).await, "stdout"), ["1 pears", "2 pears", "3 pears"]);
    server.stop().await;
}
