//! The gateway from the outside, with Pods of this process behind it.

mod limits;
mod scene;
mod upstream;

use http::{StatusCode, Version};

use scene::{Scene, echo_of, greeting};

#[tokio::test]
async fn a_request_reaches_the_service_of_its_host_and_path_by_either_version_of_http() {
    let scene = Scene::new(&[("a.example", "/", "web"), ("a.example", "/api", "api")]).await;
    scene.serve("web", 1, greeting("web"));
    scene.serve("api", 2, greeting("api"));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (path, expected) in [("/", "web"), ("/x", "web"), ("/api", "api"), ("/api/x?y=/z", "api"), ("/apix", "web")]
        {
            let answer = scene.get(version, "A.example:8080", path).await;
            assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, expected), "{version:?} {path}");
        }
        let answer = scene.get(version, "b.example", "/").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
    }
}

#[tokio::test]
async fn the_endpoint_learns_for_whom_it_answers() {
    let scene = Scene::new(&[("a.example", "/", "web")]).await;
    scene.serve(
        "web",
        1,
        echo_of(&["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-mine", "x-hop", "forwarded"]),
    );
    let head = "GET / HTTP/1.1\r\nHost: a.example:8080\r\nX-Forwarded-For: 10.9.9.9\r\nForwarded: for=10.9.9.9\r\nX-Mine: 1\r\n\
                Connection: close, x-hop\r\nX-Hop: 1\r\n\r\n";
    let answer = scene.raw(head).await;
    let told =
        "x-forwarded-for=127.0.0.1;x-forwarded-proto=http;x-forwarded-host=a.example:8080;x-mine=1;x-hop=;forwarded=;";
    assert!(answer.ends_with(told), "{answer}");
}

#[tokio::test]
async fn without_an_endpoint_or_a_service_the_answer_is_503_and_says_why() {
    let scene = Scene::new(&[("a.example", "/", "empty"), ("b.example", "/", "unknown")]).await;
    scene.service("empty", &[]);
    let cases = [
        ("a.example", "Service default/empty has no ready endpoint\n"),
        ("b.example", "there is no Service default/unknown\n"),
    ];
    for (host, told) in cases {
        let answer = scene.get(Version::HTTP_11, host, "/").await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, told));
    }
}

#[tokio::test]
async fn each_request_is_logged_and_counted() {
    let scene = Scene::new(&[("a.example", "/", "web")]).await;
    scene.serve("web", 1, greeting("hello"));
    scene.get(Version::HTTP_11, "a.example", "/x").await;
    scene.get(Version::HTTP_2, "b.example", "/y").await;
    let log = scene.logged(2).await;
    assert!(
        log[0].contains("\"GET /x HTTP/1.1\" 200 5 ")
            && log[0].contains(" \"a.example\" \"default/web\" \"default/web:80\" "),
        "{log:?}"
    );
    assert!(log[1].contains("\"GET /y HTTP/2.0\" 404 ") && log[1].contains(" \"b.example\" \"-\" \"-\" "), "{log:?}");
    let figures = scene.figures.text();
    let routed = "{namespace=\"default\",ingress=\"web\",host=\"a.example\",path=\"/\",code=\"200\"} 1";
    assert!(figures.contains(&format!("carob_ingress_requests_total{routed}")), "{figures}");
    assert!(figures.contains("path=\"\",code=\"404\"} 1"), "{figures}");
}

#[tokio::test]
async fn shutdown_takes_nothing_new_and_finishes_what_is_under_way() {
    let scene = Scene::new(&[("a.example", "/", "web")]).await;
    let answers = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let slow = scene.serve("web", 1, scene::held(answers.clone()));
    let address = scene.address;
    let under_way = tokio::spawn(scene::ask(address, "a.example"));
    while slow.load() == 0 {
        tokio::task::yield_now().await;
    }
    scene.shutdown.cancel();
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    answers.add_permits(1);
    assert_eq!(under_way.await.unwrap().text, "at last");
    scene.running.await.unwrap();
}
