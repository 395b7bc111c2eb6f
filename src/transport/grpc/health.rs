//! `grpc.health.v1.Health`: serving until shutdown begins.
#![forbid(unsafe_code)]

use super::origin_of;
use super::v1::verifier_server::SERVICE_NAME as VERIFIER;
use crate::transport::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The service. What it knows comes with the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health;

/// The names that have a health: the daemon as a whole (the empty one), and its service.
const NAMES: [&str; 2] = ["", VERIFIER];

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Changes;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let (connection, _) = origin_of(&request)?;
        let shutdown = &connection.context.shutdown;
        if !NAMES.contains(&&*request.get_ref().service) {
            return Err(Status::not_found("no service of this name is served here"));
        }
        Ok(Response::new(now(shutdown)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Changes>, Status> {
        let (connection, _) = origin_of(&request)?;
        let shutdown = connection.context.shutdown.clone();
        let known = NAMES.contains(&&*request.get_ref().service);
        // Two at most: what it is now, and the one change there can be.
        let (changes, receiver) = mpsc::channel(2);
        tokio::spawn(report(known, shutdown, changes));
        Ok(Response::new(Changes(receiver)))
    }
}

/// Reports the status now and its change, then ends.
async fn report(known: bool, mut shutdown: Shutdown, changes: mpsc::Sender<HealthCheckResponse>) {
    let first = match known {
        true => now(&shutdown),
        // The protocol asks to say so and to keep the watch: the name might appear.
        false => status(ServingStatus::ServiceUnknown),
    };
    let is_last = first.status() == ServingStatus::NotServing;
    // An error means that the watcher has gone.
    if changes.send(first).await.is_err() || is_last {
        return;
    }
    tokio::select! {
        () = changes.closed() => {}
        () = shutdown.begun() => {
            if known {
                let _ = changes.send(now(&shutdown)).await;
            }
        }
    }
}

fn now(shutdown: &Shutdown) -> HealthCheckResponse {
    status(if shutdown.has_begun() {
        ServingStatus::NotServing
    } else {
        ServingStatus::Serving
    })
}

fn status(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// The statuses of one watch.
pub(super) struct Changes(mpsc::Receiver<HealthCheckResponse>);

impl Stream for Changes {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|change| change.map(Ok))
    }
}
