//! Names outside the legacy alphabet, like those of `expfmt/text_create_test.go` of prometheus/common.

use super::*;

fn families() -> [MetricFamily; 3] {
    let mut named = family(
        "http.status_total",
        MetricType::COUNTER,
        vec![counter(&[], 1.0), counter(&[("code", "200"), ("label.name", "x\"")], 2.0)],
    );
    named.set_help("Help.".to_owned());
    let mut histogram_metrics = [labelled(&[]), labelled(&[("a:b", "1")])];
    for metric in &mut histogram_metrics {
        metric.set_histogram(histogram(&[(1.0, 1)], 0.5, 1));
    }
    [
        named,
        family("a\"\\\n温", MetricType::HISTOGRAM, histogram_metrics.to_vec()),
        family("plain", MetricType::GAUGE, vec![gauge(&[("\"", "1"), ("b", "2")], 1.0)]),
    ]
}

#[test]
fn quotes_names_where_utf8_is_allowed() {
    let text = r#"# HELP "http.status_total" Help.
# TYPE "http.status_total" counter
{"http.status_total"} 1
{"http.status_total",code="200","label.name"="x\""} 2
# TYPE "a\"\\\n温" histogram
{"a\"\\\n温_bucket",le="1"} 1
{"a\"\\\n温_bucket",le="+Inf"} 1
{"a\"\\\n温_sum"} 0.5
{"a\"\\\n温_count"} 1
{"a\"\\\n温_bucket","a:b"="1",le="1"} 1
{"a\"\\\n温_bucket","a:b"="1",le="+Inf"} 1
{"a\"\\\n温_sum","a:b"="1"} 0.5
{"a\"\\\n温_count","a:b"="1"} 1
# TYPE plain gauge
plain{"\""="1",b="2"} 1
"#;
    let format = EscapedFormat::new(&TEXT_100, Escaping::AllowUtf8);
    assert_eq!(as_text(format, &families()).0, text);

    let openmetrics = text
        .replace("# HELP \"http.status_total\" Help.\n", "")
        .replace(
            "# TYPE \"http.status_total\" counter\n",
            "# TYPE \"http.status\" counter\n# HELP \"http.status\" Help.\n",
        )
        .replace("le=\"1\"", "le=\"1.0\"");
    let format = EscapedFormat::new(&OPENMETRICS_100, Escaping::AllowUtf8);
    assert_eq!(as_text(format, &families()).0, format!("{openmetrics}# EOF\n"));
}

#[test]
fn escapes_names_where_utf8_is_not_allowed() {
    let rows = [
        (Escaping::Underscores, ["http_status_total", "a_____bucket", "label_name", "a_b"]),
        (Escaping::Dots, ["http_dot_status__total", "a_________bucket", "label_dot_name", "a__b"]),
        (
            Escaping::Values,
            ["U__http_2e_status__total", "U__a_22__5c__a__6e29__bucket", "U__label_2e_name", "U__a_3a_b"],
        ),
    ];
    for (escaping, [counter, bucket, label, colon]) in rows {
        let (text, skipped) = as_text(EscapedFormat::new(&TEXT_100, escaping), &families());
        assert!(skipped.is_empty(), "{skipped:?}");
        for line in [
            format!("# TYPE {counter} counter\n{counter} 1\n{counter}{{code=\"200\",{label}=\"x\\\"\"}} 2\n"),
            format!("\n{bucket}{{le=\"1\"}} 1\n"),
            format!("\n{bucket}{{{colon}=\"1\",le=\"1\"}} 1\n"),
        ] {
            assert!(text.contains(&line), "{line:?} not in\n{text}");
        }
        // 0.0.4 and 0.0.1 always use `underscores`, whatever the client requests.
        let underscores = as_text(FALLBACK, &families()).0;
        let asked_for = EscapedFormat::new(&TEXT_004, escaping);
        assert_eq!(as_text(asked_for, &families()).0, underscores);
        assert!(!underscores.contains("{\""));
    }
}

/// The lexers of Prometheus accept no NUL in a quoted name, so one such name made the whole scrape fail.
#[test]
fn escapes_names_with_nul_in_every_scheme() {
    let families = [family("a\0b", MetricType::GAUGE, vec![gauge(&[("c\0d", "\0")], 1.0)])];
    for format in [&TEXT_100, &OPENMETRICS_100] {
        let (text, skipped) = as_text(EscapedFormat::new(format, Escaping::AllowUtf8), &families);
        assert!(text.starts_with("# TYPE a_b gauge\na_b{c_d=\"\0\"} 1\n"), "{text:?}");
        assert!(skipped.is_empty(), "{skipped:?}");
    }
}

#[test]
fn writes_names_longer_than_a_chunk() {
    let name = "\"".repeat(CHUNK_SIZE);
    let mut metric = labelled(&[(&name, "1")]);
    metric.set_histogram(histogram(&[], 0.0, 0));
    let families = [family(&name, MetricType::HISTOGRAM, vec![metric])];
    let format = EscapedFormat::new(&TEXT_100, Escaping::AllowUtf8);
    let mut chunks = Vec::new();
    encode(format, &Names::default(), &families, &mut chunks);
    for chunk in chunks {
        assert_eq!(chunk.iter().filter(|&&byte| byte == b'\n').count(), 1);
    }
}
