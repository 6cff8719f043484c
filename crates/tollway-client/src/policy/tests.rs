use super::*;

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

#[test]
fn a_policy_reads_back_as_it_was_written() {
    let text = r#"{"max_cost":"100 sat","max_fee":"1500 msat","ask_above":"50 sat","require_bound":true,"hosts":["*.example.com"],"refuse_hosts":[".ads.example.com"],"payees":["02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619"],"networks":["mainnet"],"schemes":["L402","Payment"],"limits":[{"most":"1000 sat","per":"day"}]}"#;
    let policy: Policy = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), text);
    assert_eq!(serde_json::to_string(&Policy::default()).unwrap(), "{}");
}

#[test]
fn what_a_policy_does_not_know_is_refused_by_name() {
    for (bad, named) in [
        (r#"{"max_costs":"1 sat"}"#, "max_costs"),
        (r#"{"max_cost":"1"}"#, "`1`"),
        (r#"{"schemes":["x402"]}"#, "`x402`"),
        (r#"{"payees":["02ab"]}"#, "`02ab`"),
        (r#"{"hosts":["https://a"]}"#, "`https://a`"),
        (r#"{"networks":["moonnet"]}"#, "moonnet"),
    ] {
        let error = serde_json::from_str::<Policy>(bad).unwrap_err().to_string();
        assert!(error.contains(named), "{bad}: {error}");
    }
}

#[test]
fn a_refused_host_is_refused_however_it_is_written_and_whatever_is_allowed() {
    let policy = Policy {
        hosts: vec![".example.com".parse().unwrap()],
        refuse_hosts: vec!["ads.example.com".parse().unwrap()],
        ..Policy::default()
    };
    assert!(policy.may_pay(&origin("https://api.example.com:8443")).is_ok());
    for bad in ["https://ads.example.com", "https://ADS.example.com.", "https://ads.example.com:81"]
    {
        assert!(matches!(policy.may_pay(&origin(bad)), Err(Denied::HostRefused { .. })), "{bad}");
    }
    let other = policy.may_pay(&origin("https://example.org"));
    assert!(matches!(other, Err(Denied::HostNotAllowed { .. })));
    assert!(Policy::default().may_pay(&origin("https://example.org")).is_ok());
}

#[test]
fn terms_narrow_a_policy_and_never_widen_it() {
    let sat = |n| Msat::from_sat(n).unwrap();
    let policy = Policy {
        max_cost: Some(sat(50)),
        max_fee: Some(sat(2)),
        require_bound: true,
        ..Policy::default()
    };
    let wide = policy.narrow(Terms::up_to(sat(5000)));
    assert_eq!((wide.max_cost, wide.max_fee, wide.require_bound), (sat(50), sat(2), true));
    let narrow = Terms { max_fee: sat(1), ..Terms::up_to(sat(10)) };
    assert_eq!(policy.narrow(narrow), Terms { require_bound: true, ..narrow });
}
