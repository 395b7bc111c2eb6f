//! gRPC `jotd.v1.Verifier`, health and reflection, behind the same ports as HTTP.
//!
//! The services hold nothing: who asks, and where questions go, travels with each request. So one router
//! serves every connection of the process.
#![forbid(unsafe_code)]

mod health;
mod stream;
mod terms;
mod verdict;
mod verifier;

/// Messages, client and server of `jotd.v1`, as `proto/jotd/v1/verifier.proto` defines them.
#[allow(
    missing_docs,
    clippy::all,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "generated; tests/grpc_generated.rs keeps it true to the .proto"
)]
pub mod v1 {
    include!("generated/jotd.v1.rs");
}

/// The encoded `FileDescriptorSet` of `jotd.v1`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/jotd.v1.bin");

use super::http::{Body, Connection, Paced};
use crate::limits::FRAME_BYTES_MAX;
use crate::transport::Context;
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower_service::Service;
use v1::verifier_server::VerifierServer;

/// Answers a gRPC call.
pub(super) async fn answer(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> Response<Body> {
    let pace = pace(request.uri().path(), &connection.context);
    let mut request = request.map(|body| Paced::new(body, pace));
    request.extensions_mut().insert(Arc::clone(connection));
    let answered = ROUTES.clone().call(request).await;
    let reply = answered.unwrap_or_else(|never| match never {});
    reply.map(Body::grpc)
}

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let verifier =
        VerifierServer::new(verifier::Verifier).max_decoding_message_size(FRAME_BYTES_MAX);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors are checked in, and a test decodes them");
    Routes::new(verifier)
        .add_service(HealthServer::new(health::Health))
        .add_service(reflection)
        .prepare()
});

/// How long each part of a request may take. Within one message a peer has no reason to pause; between
/// the messages of a stream it has, for as long as an idle connection is kept.
fn pace(path: &str, context: &Context) -> Duration {
    match path.rsplit('/').next() {
        Some("Verify" | "VerifyBatch" | "Check" | "Watch") => context.limits.stall_timeout,
        _ => context.limits.idle_timeout,
    }
}

/// The connection that a request came over.
#[allow(clippy::result_large_err, reason = "tonic's handlers return a Status")]
fn connection_of<M>(request: &tonic::Request<M>) -> Result<Arc<Connection>, tonic::Status> {
    let connection = request.extensions().get::<Arc<Connection>>();
    connection
        .cloned()
        .ok_or_else(|| tonic::Status::internal("the request came over no connection"))
}
