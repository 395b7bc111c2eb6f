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

use super::http::{Arriving, Body, Connection, Paced};
use crate::limits::FRAME_BYTES_MAX;
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::sync::{Arc, LazyLock};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower_service::Service;
use v1::verifier_server::VerifierServer;

/// Answers a gRPC call.
pub(super) async fn answer(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> Response<Body> {
    let lasts = lasts(request.uri().path());
    // Within one message a peer has no reason to pause; between the messages of a stream it has, for as
    // long as an idle connection is kept.
    let limits = &connection.context.limits;
    let pace = if lasts {
        limits.idle_timeout
    } else {
        limits.stall_timeout
    };
    let arriving = Arriving::new(connection.admission.budget());
    let mut request = request.map(|body| Paced::new(body, arriving.clone(), pace));
    request.extensions_mut().insert(Arc::clone(connection));
    request.extensions_mut().insert(arriving);
    let answered = ROUTES.clone().call(request).await;
    let reply = answered.unwrap_or_else(|never| match never {});
    reply.map(|body| Body::grpc(body, lasts))
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

/// Whether a call is a stream, in which either side may take its time.
fn lasts(path: &str) -> bool {
    let method = path.rsplit('/').next();
    !matches!(method, Some("Verify" | "VerifyBatch" | "Check"))
}

/// The connection that a request came over, and what has arrived of the request.
#[allow(clippy::result_large_err, reason = "tonic's handlers return a Status")]
fn origin_of<M>(request: &tonic::Request<M>) -> Result<(Arc<Connection>, Arriving), tonic::Status> {
    let connection = request.extensions().get::<Arc<Connection>>();
    let arriving = request.extensions().get::<Arriving>();
    connection
        .cloned()
        .zip(arriving.cloned())
        .ok_or_else(|| tonic::Status::internal("the request came over no connection"))
}
