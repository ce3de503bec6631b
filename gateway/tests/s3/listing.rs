//! Listings: order, pages, prefixes, delimiters.

use crate::support::World;

#[tokio::test]
async fn listings_page_through_everything_in_order() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let mut keys: Vec<String> = (0..60).map(|n| format!("{}/{}", ["a", "b", "b/c", "d"][n % 4], n)).collect();
    keys.push("d".to_owned());
    keys.push("é".to_owned());
    for key in &keys {
        client.put(&format!("/photos/{}", cairn_s3::uri::encode_path(key.as_bytes())), "x").await.ok();
    }
    keys.sort();
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = client.get(&format!("/photos?list-type=2&max-keys=7{token}")).await.ok();
        seen.extend(page.all("Key").iter().map(ToString::to_string));
        if page.element("IsTruncated") == "false" {
            break;
        }
        assert_eq!(page.element("KeyCount"), "7");
        token = format!("&continuation-token={}", page.element("NextContinuationToken"));
    }
    assert_eq!(seen, keys);

    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let page = client.get(&format!("/photos?max-keys=2&delimiter=%2F{marker}")).await.ok();
        let mut names: Vec<String> = page.all("Key").into_iter().map(ToOwned::to_owned).collect();
        for prefix in page.all("CommonPrefixes") {
            names.push(prefix.replace("<Prefix>", "").replace("</Prefix>", ""));
        }
        names.sort();
        seen.extend(names);
        if page.element("IsTruncated") == "false" {
            break;
        }
        marker = format!("&marker={}", cairn_s3::uri::encode_component(page.element("NextMarker").as_bytes()));
    }
    assert_eq!(seen, ["a/", "b/", "d", "d/", "é"]);
}

#[tokio::test]
async fn what_was_asked_is_echoed() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/a%20b", "meow").await.ok();
    let page = client.get("/photos?list-type=2&prefix=a&delimiter=%2F&start-after=A&encoding-type=url").await.ok();
    assert_eq!((page.element("Key"), page.element("StartAfter"), page.element("EncodingType")), ("a%20b", "A", "url"));
    assert_eq!((page.element("Size"), page.element("StorageClass"), page.all("Owner").len()), ("4", "STANDARD", 0));
    let owned = client.get("/photos?list-type=2&fetch-owner=true").await.ok();
    assert_eq!(owned.element("ID"), client.access_key);
    let none = client.get("/photos?list-type=2&max-keys=0").await.ok();
    assert_eq!((none.element("IsTruncated"), none.all("Key").len()), ("false", 0));
    let versions = client.get("/photos?versions").await.ok();
    assert_eq!((versions.element("VersionId"), versions.element("IsLatest")), ("null", "true"));
}

#[tokio::test]
async fn a_deleted_key_is_gone_from_the_next_listing() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let client = one.client_with("photos").await;
    for round in 0..20 {
        client.put(&format!("/photos/{round}"), "x").await.ok();
        client.at(two.address).delete(&format!("/photos/{round}")).await.ok();
        let page = client.get("/photos?list-type=2&delimiter=%2F").await.ok();
        assert_eq!(page.element("KeyCount"), "0");
    }
    client.delete("/photos").await.ok();
}
