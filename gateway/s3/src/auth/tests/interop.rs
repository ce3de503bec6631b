//! Signatures botocore 1.44.5 made of the keys that break stores (S3.md §6), in the header and in the query.
//!
//! Its request: `GET` with `Range`, a value with two spaces in a row, and an empty body; for the query, `Host` alone.

use super::{ACCESS_KEY, EMPTY, code, head};

/// Path, query, signature in the header, signature in the query.
const SIGNED: [[&str; 4]; 16] = [
    [
        "/bucket/a//b",
        "list=%2F&prefix=a%2F%2Fb",
        "62a7430926d09df71f370695c067bd58d8a8f682d3e5ea14b5b7362c36309687",
        "1e7bc01008c34b9c00c02507365db38003e2737cf4fe6eeed75a1b94f7d2f998",
    ],
    [
        "/bucket//a",
        "list=%2F&prefix=%2Fa",
        "efdc69b563dd0a892e9339b3125ab7fcd3c6370a9087c83e5cc930080096590a",
        "7ba2236f66b1286f2dfd1a42687564e78b6d554197d9f554b9f4043a1d10a9e5",
    ],
    [
        "/bucket/a/",
        "list=%2F&prefix=a%2F",
        "92517e24c151311ced628d04aa3c0506f57268c82e0290d6a0c63fdc4804ece6",
        "8db1d92b5cea5e49d1fbf33bc798ea7815dbb794972f1e4aa8bf23b782687d20",
    ],
    [
        "/bucket/./x",
        "list=%2F&prefix=.%2Fx",
        "714166239b3910f247d066abc0df9989f955a9f22bddd546e281883fb976ba24",
        "afb13ea85e94bbc5386b1cad6e4c72d355b5d05e5e9b08fe5ab46625d161e8b2",
    ],
    [
        "/bucket/a/../b",
        "list=%2F&prefix=a%2F..%2Fb",
        "d9a0cfff74779942d812bcafa0258da8217e7a35e596808569c2aa9ed2d5bdf0",
        "3eb1e3b648e296789555a86963453cfe095f8df6af497280876f185c55553765",
    ],
    [
        "/bucket/a%2Bb",
        "list=%2F&prefix=a%2Bb",
        "7ef9f8839b47ac89a7853bd3ca8db5270ad3d44486534e75e568d5c879469333",
        "24b2043a1f6e997a9a439563363c7c4cc32dbdd64ffdd5248af0d1b9ec6817bd",
    ],
    [
        "/bucket/100%25",
        "list=%2F&prefix=100%25",
        "21a7906f0617ea5ed1d279cefc56861479a125c6080d4bcde25ad7206480c425",
        "5f202b59eae227a891bd81bc138807d4e2be65efee196e4b0e78fab3bc9b6f6e",
    ],
    [
        "/bucket/sp%20ace",
        "list=%2F&prefix=sp%20ace",
        "99ef258754efc2c8bf7379dd92b804e8796a41f4a36113fde8a318857eebc99c",
        "a41f399f6e3bbb4d3508a233bc9dce2a815929de730306fc6cba18320a5709f9",
    ],
    [
        "/bucket/q%3Fm%23h",
        "list=%2F&prefix=q%3Fm%23h",
        "f2d9b5e50afb56f3065aaaa66bb7244820332f19b23625b700affe7f7a30dbc3",
        "2cf0a03be30ac53dfc3918f03decf3821bb5079101dacf5aec0066bcc7def69a",
    ],
    [
        "/bucket/a%26b%3Dc",
        "list=%2F&prefix=a%26b%3Dc",
        "c120cba78db2829fd88884e0c7651217f5fd2c2c76e373bfd5d6a4ece72c7ceb",
        "e01e675f4da03360f2db906afc51e1194fafe1e4b2ab3a9f4ff7879fbe0e34ac",
    ],
    [
        "/bucket/it%27s%20%22%28q%29%22%21%2A",
        "list=%2F&prefix=it%27s%20%22%28q%29%22%21%2A",
        "cf02d2ddd51bfe4e9ed791d335a69fd02a3c9e23005b8160558ee4302a3101cb",
        "f2e730054946e2c2472af987721fa5f84eba675ec8e42c1ff14eb5782a7809a7",
    ],
    [
        "/bucket/%3C%3E%26",
        "list=%2F&prefix=%3C%3E%26",
        "06989416937fc90f479add45770be5b66b4e9960965c8f6ca34664c7fcc14c77",
        "f251b82c5250b326ee635f605b2374e9fdaf0de0423ad6e6048949ddfa914135",
    ],
    [
        "/bucket/%F0%9F%90%88%C3%A9",
        "list=%2F&prefix=%F0%9F%90%88%C3%A9",
        "ba190d9796c290d7ab6a32078c4bd7c94e0d586d050314367c385bfd0129a7fc",
        "0a66c43c92e01fc7e828326d13cd402d6d4faf9455235dd63ec1b0c3fe1eb2ba",
    ],
    [
        "/bucket/e%CC%81",
        "list=%2F&prefix=e%CC%81",
        "7af410ebc5b281700eb03802b8a0365bf82ef8db6ef05598517bf0fdff6ac817",
        "8bfa998aeb659b34956e8116b093ce82d6b40bc2614923622515575ef9bb596c",
    ],
    [
        "/bucket/~tilde_-.",
        "list=%2F&prefix=~tilde_-.",
        "18a02ac5a0668da61a968313f5ba245f944492fb2e82c00f905b74007104ffda",
        "3a19a66fdc71d63aeeb36a83cc0676431b51f67dc825256485dd0aac939727b3",
    ],
    [
        "/bucket/%01%7F",
        "list=%2F&prefix=%01%7F",
        "a4ec17da36bf53dcad0d88e2f41f7c55bfee5adf4437d4a9b1bb3d8f4ae6a49c",
        "d2bd6119d47b8cf283157e0b99b7dff0197c81a9510153260d09df01a050f7b5",
    ],
];

#[test]
fn headers_of_botocore_verify() {
    for [path, query, signature, _] in SIGNED {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date;x-amz-meta-k, Signature={signature}"
        );
        let headers = [
            ("host", "localhost:9000"),
            ("range", "bytes=0-1"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-meta-k", "two  spaces"),
            ("authorization", &authorization),
        ];
        assert_eq!(code(&head("GET", &format!("{path}?{query}"), &headers)), None, "{path}");
    }
}

#[test]
fn queries_of_botocore_verify() {
    for [path, query, _, signature] in SIGNED {
        let uri = format!(
            "{path}?{query}&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential={ACCESS_KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
             &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
        );
        assert_eq!(code(&head("GET", &uri, &[("host", "localhost:9000")])), None, "{path}");
    }
}
