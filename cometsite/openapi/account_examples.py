"""Rows and answers of the account API and of the price list, as examples."""

from cometsite.openapi.metering import CALL_ID

LOG_ROW = {
    "id": CALL_ID,
    "request_id": CALL_ID,
    "response_id": "chatcmpl-9f2",
    "created_at": 1_743_588_000,
    "type": 2,
    "model_name": "gpt-4o",
    "token_name": "laptop",
    "username": "user-3",
    "user_id": 3,
    "group": "default",
    "quota": 3_000,
    "prompt_tokens": 1_200,
    "completion_tokens": 300,
    "use_time": 2,
    "is_stream": False,
    "ip": "203.0.113.7",
    "content": "1,200 → 300",
    "other": (
        '{"cache_tokens": 0, "group_ratio": 1.0, "model_ratio": 1.25, "completion_ratio": 4.0, "cache_ratio": 0.5, '
        '"model_price": -1, "total_ms": 2140, "frt": 320, "request_path": "/v1/chat/completions"}'
    ),
}
LOG_STAT = {"quota": 3_000, "rpm": 1, "tpm": 1_500}
TOKEN_ROW = {
    "id": 7,
    "name": "laptop",
    "key": "sk-AbCdEfGh…wxyz",
    "status": 1,
    "unlimited_quota": False,
    "remain_quota": 997_000,
    "used_quota": 3_000,
    "created_time": 1_743_500_000,
    "accessed_time": 1_743_588_000,
    "expired_time": -1,
    "group": "default",
}
PROFILE = {
    "id": 3,
    "username": "user-3",
    "display_name": "",
    "email": "somebody@example.com",
    "role": 1,
    "status": 1,
    "quota": 2_497_000,
    "used_quota": 3_000,
    "request_count": 1,
    "group": "default",
}
STATS = {
    "month_req_count": 120,
    "req_rate": 20.0,
    "month_usage": 1.25,
    "usage_rate": -5.5,
    "month_success_rate": 99.17,
    "predicted_days": 87,
}
TASK_ROW = {
    "id": CALL_ID,
    "created_at": 1_743_588_000,
    "platform": "suno",
    "task_id": CALL_ID,
    "action": "music",
    "status": "SUCCESS",
    "model_name": "suno_music",
    "progress": "100%",
    "quota": 72_000,
    "submit_time": 1_743_588_000,
    "finish_time": 1_743_588_090,
}
TOP_UP_ROW = {
    "id": "5f0c7b1e-58a6-4c11-9b0e-2c1f6f3a9d10",
    "trade_no": "5f0c7b1e-58a6-4c11-9b0e-2c1f6f3a9d10",
    "user_id": 3,
    "email": "somebody@example.com",
    "amount": 5.0,
    "money": 5.0,
    "payment_intent_id": "pi_1",
    "payment_channel": "stripe",
    "status": "success",
    "create_time": 1_743_500_000,
    "complete_time": 1_743_500_060,
    "is_auto_top_up": False,
}
USAGE_ROW = {
    "user_id": 3,
    "username": "user-3",
    "model_name": "gpt-4o",
    "created_at": 1_743_552_000,
    "count": 1,
    "token_used": 1_500,
    "quota": 3_000,
}
MODEL = {
    "id": "gpt-4.1",
    "code": "gpt-4-1",
    "provider": "OpenAI",
    "provider_code": "openai",
    "name": "GPT-4.1",
    "description": "",
    "model_type": "text",
    "features": ["prompt-caching"],
    "endpoints": {"openai": {"path": "/v1/chat/completions", "method": "POST"}},
    "pricing": {"input": 2.0, "output": 8.0, "per_request": None, "per_second": None, "ratio": 1.0},
    "context_length": 1_047_576,
    "max_completion_tokens": 32_768,
    "api_doc_url": "https://example.com/pricing/gpt-4.1/",
}
