//! Containers that answer HTTP requests.

mod common;

use std::sync::Arc;
use std::time::Duration;

use carob_engine::{Kind, Limits, Reason};
use carob_net::Refused;
use common::{SPIN, call, ended, eventually, get, handler, read, setup, setup_with};

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_answer_concurrent_requests() {
    let setup = setup();
    for (sample, kind) in [("hello-http", Kind::HttpP2), ("hello-http-p3", Kind::HttpP3)] {
        let program = setup.sample(sample).await;
        assert_eq!(program.kind(), kind);
        let mut config = common::config(Default::default());
        config.env = vec![("POD_NAME".into(), "pod-1".into())];
        let container = setup.engine.start(&program, config).unwrap();
        let service = container.http().unwrap();
        let answers =
            futures::future::join_all((0..200).map(|_| async { read(call(&service, get("/")).await.unwrap()).await }));
        for (status, text) in answers.await {
            assert_eq!((status, text.as_str()), (200, "Hello, world! This is pod-1.\n"), "{sample}");
        }
        assert_eq!((container.usage().requests, service.load()), (200, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_holds_no_instance() {
    let setup = setup_with(|config| config.http.idle = Duration::from_millis(50));
    let program = setup.sample("hello-http-p3").await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    let service = container.http().unwrap();
    assert_eq!(container.usage().memory_bytes, 0);
    read(call(&service, get("/")).await.unwrap()).await;
    eventually(|| container.usage().memory_bytes == 0).await;
    assert_eq!(read(call(&service, get("/")).await.unwrap()).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sequential_reuse_is_by_request_of_the_container() {
    // Traps at the second request in one instance.
    let text =
        handler(1, "(if (i32.load8_u (i32.const 0)) (then unreachable)) (i32.store8 (i32.const 0) (i32.const 1))");
    for reuse in [false, true] {
        let setup = setup();
        let program = setup.wat(&text).await;
        let output = Arc::new(common::Printed::default());
        let mut config = common::config(output.clone());
        config.http_reuse = reuse;
        let container = setup.engine.start(&program, config).unwrap();
        let service = container.http().unwrap();
        for _ in 0..4 {
            assert!(matches!(call(&service, get("/")).await, Err(Refused::Failed(_))));
        }
        assert_eq!(output.stderr().contains("unreachable"), reuse, "{}", output.stderr());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_fails_its_request_alone() {
    let setup = setup();
    let program = setup.wat(&handler(1, "unreachable")).await;
    let (container, output) = setup.start(&program, &[], Limits::default());
    let service = container.http().unwrap();
    for _ in 0..3 {
        let Err(Refused::Failed(why)) = call(&service, get("/")).await else { panic!("it was answered") };
        assert!(why.to_string().contains("unreachable"), "{why}");
    }
    assert!(output.stderr().contains("unreachable"), "{}", output.stderr());
    let hello = setup.sample("hello-http").await;
    let (neighbour, _) = setup.start(&hello, &[], Limits::default());
    assert_eq!(read(call(&neighbour.http().unwrap(), get("/")).await.unwrap()).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn spinning_handlers_do_not_stop_their_neighbours_and_time_out() {
    let setup = setup_with(|config| {
        config.threads = Some(2);
        config.http.queue_wait = Duration::from_millis(200);
        config.http.response = Duration::from_millis(500);
    });
    let spinner = setup.wat(&handler(1, SPIN)).await;
    let (spinning, _) = setup.start(&spinner, &[], Limits::default());
    let service = spinning.http().unwrap();
    let stuck = futures::future::join_all((0..8).map(|_| call(&service, get("/"))));
    let hello = setup.sample("hello-http").await;
    let (neighbour, _) = setup.start(&hello, &[], Limits::default());
    let neighbour = neighbour.http().unwrap();
    let answers = async {
        let mut statuses = vec![];
        for _ in 0..20 {
            statuses.push(read(call(&neighbour, get("/")).await.unwrap()).await.0);
        }
        statuses
    };
    let (stuck, statuses) = futures::join!(stuck, answers);
    assert_eq!(statuses, vec![200; 20]);
    assert!(stuck.into_iter().all(|answer| answer.unwrap().status() == 504));
    // Nobody waits for them any more, so the instances are gone.
    eventually(|| spinning.usage().memory_bytes == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_instance() {
    let setup = setup();
    let program = setup.wat(&handler(1, SPIN)).await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    let service = container.http().unwrap();
    let request = tokio::spawn(service.call(get("/")));
    eventually(|| container.usage().memory_bytes > 0).await;
    request.abort();
    eventually(|| container.usage().memory_bytes == 0).await;
    assert_eq!(service.load(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_past_the_limit_ends_the_container() {
    let setup = setup();
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))";
    let program = setup.wat(&handler(1, grow)).await;
    let limits = Limits { memory: Some(8 << 20), ..Limits::default() };
    let (container, _) = setup.start(&program, &[], limits);
    let service = container.http().unwrap();
    assert!(matches!(call(&service, get("/")).await, Err(Refused::Failed(_))));
    let exit = ended(&container).await;
    assert_eq!((exit.code, exit.reason), (137, Reason::OomKilled));
    assert!(matches!(call(&service, get("/")).await, Err(Refused::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_memory_does_not_fit_waits_and_is_then_given_back() {
    let setup = setup_with(|config| config.http.queue_wait = Duration::from_millis(300));
    let program = setup.wat(&handler(16, SPIN)).await;
    let limits = Limits { memory: Some(24 * 65536), ..Limits::default() };
    let (container, _) = setup.start(&program, &[], limits);
    let service = container.http().unwrap();
    let first = tokio::spawn(service.call(get("/first")));
    eventually(|| container.usage().memory_bytes > 0).await;
    let (refused, request) = service.call(get("/second")).await.err().unwrap();
    assert!(matches!(refused, Refused::Overloaded), "{refused}");
    assert_eq!(request.unwrap().uri().path(), "/second");
    first.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_instances_are_bounded() {
    let setup = setup_with(|config| {
        config.http.instances = 2;
        config.http.queue = 3;
        config.http.queue_wait = Duration::from_millis(300);
    });
    let program = setup.wat(&handler(1, SPIN)).await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    let service = container.http().unwrap();
    let stuck: Vec<_> = (0..2).map(|_| tokio::spawn(service.call(get("/")))).collect();
    eventually(|| container.usage().memory_bytes >= 2 * 65536).await;
    let calls: Vec<_> = (0..6).map(|_| call(&service, get("/"))).collect();
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Refused::Overloaded))), "{answers:?}");
    assert_eq!(container.usage().memory_bytes, 2 * 65536);
    stuck.iter().for_each(|request| request.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn terminating_drains_and_ends_with_0() {
    let setup = setup();
    let program = setup.sample("hello-http").await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    let service = container.http().unwrap();
    // A response that is not read yet keeps the container.
    let response = call(&service, get("/")).await.unwrap();
    container.terminate(Duration::from_secs(60));
    let refused = service.call(get("/")).await.err().unwrap();
    assert!(matches!(refused, (Refused::Closed, Some(_))), "{}", refused.0);
    assert_eq!(read(response).await.0, 200);
    let exit = ended(&container).await;
    assert_eq!((exit.code, exit.reason), (0, Reason::Completed));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_drain_is_killed() {
    let setup = setup();
    let program = setup.wat(&handler(1, SPIN)).await;
    let (container, _) = setup.start(&program, &[], Limits::default());
    let service = container.http().unwrap();
    let request = tokio::spawn(service.call(get("/")));
    eventually(|| container.usage().memory_bytes > 0).await;
    container.terminate(Duration::from_millis(50));
    assert_eq!(ended(&container).await.code, 137);
    let (refused, _) = request.await.unwrap().err().unwrap();
    assert!(matches!(refused, Refused::Failed(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_returns_without_a_response_fails_its_request() {
    let setup = setup();
    let program = setup.wat(&handler(1, "")).await;
    let (container, output) = setup.start(&program, &[], Limits::default());
    let Err(Refused::Failed(why)) = call(&container.http().unwrap(), get("/")).await else { panic!("it was answered") };
    assert!(why.to_string().contains("without a response"), "{why}");
    assert_eq!(output.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_host_is_answered() {
    let setup = setup();
    for sample in ["hello-http", "hello-http-p3"] {
        let program = setup.sample(sample).await;
        let (container, _) = setup.start(&program, &[], Limits::default());
        let mut request = get("/");
        *request.uri_mut() = "/path".parse().unwrap();
        assert_eq!(read(call(&container.http().unwrap(), request).await.unwrap()).await.0, 200, "{sample}");
    }
}
