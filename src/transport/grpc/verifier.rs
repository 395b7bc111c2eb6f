//! The three calls of `jotd.v1.Verifier`.
#![forbid(unsafe_code)]

use super::stream::Answers;
use super::terms::{asking, status_of, timeout};
use super::{origin_of, v1};
use crate::transport::http::ask::ask;
use tonic::{Request, Response, Status, Streaming};

/// The service. What it knows comes with the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verifier;

#[tonic::async_trait]
impl v1::verifier_server::Verifier for Verifier {
    type VerifyStreamStream = Answers;

    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        let (connection, _held) = origin_of(&request)?;
        let timeout = timeout(request.metadata()).map_err(|fault| status_of(&fault))?;
        let v1::VerifyRequest {
            token,
            policy,
            want,
            min_revision,
        } = request.into_inner();
        let verdicts = match asking(vec![token], &policy, &want, timeout, min_revision) {
            Ok(asking) => ask(&connection, asking).await,
            Err(fault) => Err(fault),
        };
        let verdicts = verdicts.map_err(|fault| status_of(&fault))?;
        Ok(Response::new(v1::VerifyResponse {
            verdict: verdicts.into_iter().next().map(Into::into),
        }))
    }

    async fn verify_batch(
        &self,
        request: Request<v1::VerifyBatchRequest>,
    ) -> Result<Response<v1::VerifyBatchResponse>, Status> {
        let (connection, _held) = origin_of(&request)?;
        let timeout = timeout(request.metadata()).map_err(|fault| status_of(&fault))?;
        let v1::VerifyBatchRequest {
            tokens,
            policy,
            want,
            min_revision,
        } = request.into_inner();
        let verdicts = match asking(tokens, &policy, &want, timeout, min_revision) {
            Ok(asking) => ask(&connection, asking).await,
            Err(fault) => Err(fault),
        };
        let verdicts = verdicts.map_err(|fault| status_of(&fault))?;
        Ok(Response::new(v1::VerifyBatchResponse {
            results: verdicts.into_iter().map(Into::into).collect(),
        }))
    }

    async fn verify_stream(
        &self,
        request: Request<Streaming<v1::VerifyStreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (connection, arriving) = origin_of(&request)?;
        let timeout = timeout(request.metadata()).map_err(|fault| status_of(&fault))?;
        let questions = request.into_inner();
        Ok(Response::new(Answers::to(
            questions, arriving, connection, timeout,
        )))
    }
}
