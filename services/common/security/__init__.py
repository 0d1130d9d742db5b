"""Who may call, and how calls are kept from others: TLS on every hop, bearer tokens with roles."""
