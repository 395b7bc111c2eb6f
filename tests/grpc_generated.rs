//! The generated gRPC code is checked in, so that building needs no protobuf compiler. This test makes
//! it again from the `.proto` and fails when the two differ.
#![allow(
    clippy::unwrap_used,
    reason = "a test may say what it expects by failing"
)]

use std::path::{Path, PathBuf};

const PROTO: &str = "jotd/v1/verifier.proto";
const FILES: [&str; 2] = ["jotd.v1.rs", "jotd.v1.bin"];

#[test]
fn the_generated_code_is_what_the_proto_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked_in = root.join("src/transport/grpc/generated");
    let fresh = tempfile::tempdir().unwrap();
    generate(&root.join("proto"), fresh.path());
    for file in FILES {
        let made = std::fs::read(fresh.path().join(file)).unwrap();
        let kept: PathBuf = checked_in.join(file);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&kept, &made).unwrap();
        }
        assert!(
            std::fs::read(&kept).is_ok_and(|kept| kept == made),
            "{} is stale: run `UPDATE_GENERATED=1 cargo test --test grpc_generated` and commit it",
            kept.display()
        );
    }
}

fn generate(protos: &Path, out: &Path) {
    let mut compiler = protox::Compiler::new([protos]).unwrap();
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file(PROTO)
        .unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .out_dir(out)
        .compile_fds(compiler.file_descriptor_set())
        .unwrap();
    // Reflection serves the bare descriptors: comments would only make them longer.
    compiler.include_source_info(false);
    std::fs::write(
        out.join("jotd.v1.bin"),
        compiler.encode_file_descriptor_set(),
    )
    .unwrap();
}
