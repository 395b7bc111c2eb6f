//! gRPC, through tonic's own client.

use crate::house::{Client, House, post, within};
use crate::tokens;
use hyper::Uri;
use hyper_util::rt::TokioIo;
use jotd::limits::FRAME_TOKENS_MAX;
use jotd::transport::Limits;
use jotd::transport::grpc::v1;
use prost::Message;
use std::collections::HashSet;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use v1::verdict::Outcome;
use v1::verifier_client::VerifierClient;

async fn on_tcp(house: &House) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", house.address));
    endpoint.unwrap().connect().await.unwrap()
}

async fn on_unix(house: &House) -> Channel {
    let endpoint = Endpoint::from_static("http://localhost");
    let socket = Socket(house.socket.clone());
    endpoint.connect_with_connector(socket).await.unwrap()
}

/// Connects to a Unix socket, whatever the URI says.
struct Socket(PathBuf);

impl tower_service::Service<Uri> for Socket {
    type Response = TokioIo<UnixStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(UnixStream::connect(path).await?)) })
    }
}

/// What a test sends over a stream.
struct Sent<M>(mpsc::UnboundedReceiver<M>);

impl<M> Stream for Sent<M> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.0.poll_recv(cx)
    }
}

fn ask(token: String) -> v1::VerifyRequest {
    v1::VerifyRequest {
        token,
        ..Default::default()
    }
}

fn reason(verdict: &v1::Verdict) -> &'static str {
    match &verdict.outcome {
        Some(Outcome::Valid(_)) => "valid",
        Some(Outcome::Invalid(invalid)) => invalid.reason().as_str_name(),
        Some(Outcome::Unavailable(unavailable)) => unavailable.cause().as_str_name(),
        None => "nothing",
    }
}

#[tokio::test]
async fn one_token() {
    let house = House::open().await;
    for channel in [on_tcp(&house).await, on_unix(&house).await] {
        let mut client = VerifierClient::new(channel);
        let request = v1::VerifyRequest {
            want: vec!["claims.sub".into()],
            ..ask(tokens::good())
        };
        let answer = within(client.verify(request)).await.unwrap().into_inner();
        let Some(Outcome::Valid(valid)) = answer.verdict.unwrap().outcome else {
            panic!("the token is good")
        };
        assert_eq!(
            (&*valid.issuer, &*valid.tenant, &*valid.alg),
            ("acme", "default", "HS256")
        );
        assert_eq!(valid.kid.as_deref(), Some("h1"));
        assert_eq!(valid.claims.as_deref(), Some(r#"{"sub":"alice"}"#));
        assert_eq!(valid.expires_in, Some(812));
        assert_eq!(valid.revocation.unwrap().state(), v1::RevocationState::Off);

        let answer = within(client.verify(ask(tokens::expired()))).await.unwrap();
        let Some(Outcome::Invalid(invalid)) = answer.into_inner().verdict.unwrap().outcome else {
            panic!("the token has expired")
        };
        assert_eq!(invalid.reason(), v1::Reason::Expired);
        assert_eq!(invalid.expired_at, Some(tokens::NOW - 100));
    }
}

/// Checks V-42.
#[tokio::test]
async fn undecided_is_its_own_outcome() {
    let house = House::open().await;
    let mut client = VerifierClient::new(on_tcp(&house).await);
    let answer = within(client.verify(ask(tokens::undecidable())))
        .await
        .unwrap();
    let verdict = answer.into_inner().verdict.unwrap();
    assert_eq!(reason(&verdict), "CAUSE_KEYS_REFRESHING");
}

#[tokio::test]
async fn a_batch_in_order() {
    let house = House::open().await;
    let mut client = VerifierClient::new(on_unix(&house).await);
    let batch = |tokens: Vec<String>| v1::VerifyBatchRequest {
        tokens,
        ..Default::default()
    };
    let tokens = vec![
        tokens::good(),
        tokens::forged(),
        tokens::undecidable(),
        "x".into(),
    ];
    let answer = within(client.verify_batch(batch(tokens))).await.unwrap();
    let reasons: Vec<_> = answer.get_ref().results.iter().map(reason).collect();
    assert_eq!(
        reasons,
        [
            "valid",
            "REASON_BAD_SIGNATURE",
            "CAUSE_KEYS_REFRESHING",
            "REASON_MALFORMED"
        ]
    );
    let answer = within(client.verify_batch(batch(Vec::new())))
        .await
        .unwrap();
    assert!(answer.get_ref().results.is_empty());
    let too_many = batch(vec!["t".into(); FRAME_TOKENS_MAX + 1]);
    let status = within(client.verify_batch(too_many)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

/// Checks V-40.
#[tokio::test]
async fn what_is_no_question_is_refused_without_repeating_it() {
    let house = House::open().await;
    let mut client = VerifierClient::new(on_tcp(&house).await);
    let secret = "eyJsecret";
    for request in [
        v1::VerifyRequest {
            policy: secret.into(),
            ..ask(tokens::good())
        },
        v1::VerifyRequest {
            want: vec![secret.into()],
            ..ask(tokens::good())
        },
    ] {
        let status = within(client.verify(request)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(!format!("{status:?}").contains(secret), "{status:?}");
    }
    let mut request = Request::new(ask(tokens::good()));
    request
        .metadata_mut()
        .insert("grpc-timeout", "soon".parse().unwrap());
    let status = within(client.verify(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);

    let mut http = Client::h2(house.tcp().await).await;
    let mut request = post("/jotd.v1.Verifier/Nothing", "");
    let grpc = "application/grpc".parse().unwrap();
    request.headers_mut().insert("content-type", grpc);
    let reply = http.send(request).await.unwrap();
    assert_eq!(reply.headers["grpc-status"], "12", "UNIMPLEMENTED");
}

/// tonic's client would give up by itself, so this one asks by hand.
#[tokio::test]
async fn the_deadline_of_the_caller_holds() {
    let house = House::open().await;
    let mut client = Client::h2(house.tcp().await).await;
    let message = ask(tokens::good_number(1)).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0][..], &length, &message].concat();
    let mut request = post("/jotd.v1.Verifier/Verify", framed);
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-timeout", "0n"),
        ("te", "trailers"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let reply = client.send(request).await.unwrap();
    let message = &reply.body.as_bytes()[5..];
    let answer = v1::VerifyResponse::decode(message).unwrap();
    assert_eq!(reason(&answer.verdict.unwrap()), "CAUSE_DEADLINE");
}

#[tokio::test]
async fn a_stream_answers_every_question_by_its_id() {
    let limits = Limits {
        // Fewer than questions, so that permits are waited for and come back.
        calls_in_flight_max: 4,
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    for channel in [on_tcp(&house).await, on_unix(&house).await] {
        let mut client = VerifierClient::new(channel);
        let (questions, sent) = mpsc::unbounded_channel();
        let answers = within(client.verify_stream(Sent(sent))).await.unwrap();
        let mut answers = answers.into_inner();
        const QUESTIONS: u64 = 50;
        for id in 0..QUESTIONS {
            let mut question = v1::VerifyStreamRequest {
                id,
                tokens: vec![tokens::good(), tokens::forged()],
                ..Default::default()
            };
            if id % 10 == 9 {
                question.policy = "no such policy".into();
            }
            questions.send(question).unwrap();
        }
        drop(questions);
        let mut seen = HashSet::new();
        while let Some(answer) = within(answers.message()).await.unwrap() {
            assert!(seen.insert(answer.id), "{} is answered twice", answer.id);
            if answer.id % 10 == 9 {
                assert_eq!(answer.error.unwrap().error, "unknown_policy");
                assert!(answer.results.is_empty());
            } else {
                let reasons: Vec<_> = answer.results.iter().map(reason).collect();
                assert_eq!(reasons, ["valid", "REASON_BAD_SIGNATURE"]);
            }
        }
        assert_eq!(seen.len() as u64, QUESTIONS);
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_daemon_does() {
    let house = House::open().await;
    let mut client = VerifierClient::new(on_tcp(&house).await);
    let (questions, sent) = mpsc::unbounded_channel();
    let mut answers = within(client.verify_stream(Sent(sent)))
        .await
        .unwrap()
        .into_inner();
    let question = v1::VerifyStreamRequest {
        id: 7,
        tokens: vec![tokens::good()],
        ..Default::default()
    };
    questions.send(question).unwrap();
    let answer = within(answers.message()).await.unwrap().unwrap();
    assert_eq!(answer.id, 7);
    house.begin_shutdown();
    let status = within(answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    drop((client, answers, questions));
    house.closed().await;
}

#[tokio::test]
async fn a_stream_that_asks_nothing_is_not_kept() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let house = House::limited(limits).await;
    let mut client = VerifierClient::new(on_tcp(&house).await);
    let (_questions, sent) = mpsc::unbounded_channel();
    let mut answers = within(client.verify_stream(Sent(sent)))
        .await
        .unwrap()
        .into_inner();
    let status = within(answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn health_is_told_and_its_change_too() {
    let house = House::open().await;
    let mut client = HealthClient::new(on_tcp(&house).await);
    let named = |service: &str| HealthCheckRequest {
        service: service.into(),
    };
    for service in ["", "jotd.v1.Verifier"] {
        let health = within(client.check(named(service))).await.unwrap();
        assert_eq!(health.get_ref().status(), ServingStatus::Serving);
    }
    let status = within(client.check(named("other"))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    let watched = within(client.watch(named("jotd.v1.Verifier")))
        .await
        .unwrap();
    let mut watched = watched.into_inner();
    let first = within(watched.message()).await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    house.begin_shutdown();
    let next = within(watched.message()).await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
    assert!(within(watched.message()).await.unwrap().is_none());
    drop((client, watched));
    house.closed().await;
}

#[tokio::test]
async fn reflection_knows_the_services() {
    let house = House::open().await;
    let mut client = ServerReflectionClient::new(on_tcp(&house).await);
    let (requests, sent) = mpsc::unbounded_channel();
    let ask = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    requests
        .send(ask(MessageRequest::ListServices(String::new())))
        .unwrap();
    let symbol = "jotd.v1.Verifier.VerifyStream".into();
    requests
        .send(ask(MessageRequest::FileContainingSymbol(symbol)))
        .unwrap();
    drop(requests);
    let replies = within(client.server_reflection_info(Sent(sent)))
        .await
        .unwrap();
    let mut replies = replies.into_inner();
    let mut next =
        async || -> ServerReflectionResponse { within(replies.message()).await.unwrap().unwrap() };
    let Some(MessageResponse::ListServicesResponse(list)) = next().await.message_response else {
        panic!("services were asked for")
    };
    let names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
    for name in [
        "jotd.v1.Verifier",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    let Some(MessageResponse::FileDescriptorResponse(file)) = next().await.message_response else {
        panic!("a file was asked for")
    };
    assert!(!file.file_descriptor_proto.is_empty());
}
