"""Finds the meaning of an error in its text and codes, regardless of its status. Pure.

Providers send the same refusal as 400, 401, 402, 403, 412, 429, or inside a 200, in English or Chinese. A
code or sentence is matched for its subject *and* for what is the matter with it; one alone is ambiguous
("your plan", "invalid"). Codes take precedence over sentences.
"""

import enum
import re


class Meaning(enum.Enum):
    """The cause of an error."""

    MONEY = "the account has no credit, or its limit is reached"
    RATE = "too many requests or tokens in a short time"
    NO_KEY = "no key came with the request"
    KEY = "the key is not accepted"
    REGION = "not offered in that country"
    ACCOUNT = "the account is disabled"
    PERMISSION = "the key may not do this"


_CODES = (
    (
        Meaning.RATE,
        re.compile(
            r"rate_?limit|too_?many_?requests|throttl|per_?(?:minute|second)|concurren|limit_?burst|qps|slow_?down"
            r"|(?:rpm|tpm)_?(?:rate_?)?(?:limit|exceed)|serverlimitexceeded"
        ),
    ),
    (
        Meaning.MONEY,
        re.compile(
            r"billing|arrear|overdue|insufficient_?(?:user_?)?(?:quota|balance|credit|fund)|no_?(?:credit|balance)"
            r"|(?:budget|quota|spend(?:ing)?_?limit|credits?)_?(?:exceed|exhaust|deplet|reached)"
            r"|exceed(?:ed)?_?(?:current_?)?(?:quota|budget)|payment_?required|budgetexceeded"
            r"|(?:resource_?pack|charge_?resource|balance|prepayment)_?(?:exhaust|insufficient|not_?enough)"
        ),
    ),
    (
        Meaning.NO_KEY,
        re.compile(r"(?:missing|no)_?(?:api_?key|token|auth(?:entication|orization)|credentials?)$"),
    ),
    (
        Meaning.KEY,
        re.compile(
            r"(?:invalid|incorrect|wrong|unknown|expired|revoked)_?(?:api_?key|access_?(?:key|token)|credential)"
            r"|(?:api_?key|token)_?(?:invalid|not_?found|expired|revoked)|unauthenticated"
            r"|auth(?:entication|orization)?_?(?:fail|error|denied)|invalid_?(?:iam_?token|authentication)"
        ),
    ),
    (
        Meaning.REGION,
        re.compile(r"(?:unsupported|restricted|blocked)_?(?:country|region|location)|geo_?block"),
    ),
)

_GAP = r"[^.!?。！？\n]{0,80}"


def _pair(subject: str, matter: str) -> str:
    """A pattern for both in one sentence, in either order."""
    return rf"(?:{subject}){_GAP}(?:{matter})|(?:{matter}){_GAP}(?:{subject})"


_RATE = re.compile(
    r"\b(?:rate.?limit|too many (?:requests|tokens)|too frequent|requests? per (?:second|minute)"
    r"|tokens? per (?:second|minute)|throttl|concurren|slow down|\b(?:qps|rpm|tpm)\b"
    r"|(?:retry|try again) (?:in|after) \d{1,3}(?:\.\d+)? ?s)"
    r"|限流|频率|频繁|速率|并发|每分钟|每秒"
)
_MONEY = re.compile(
    _pair(
        r"\b(?:balance|credits?|quota|billing|spend(?:ing)?(?: limit)?|budget|funds|prepa(?:id|yment)|payment"
        r"|licen[sc]es?)\b",
        r"\b(?:insufficient|past due|unpaid|exceed(?:ed|s)?"
        r"|deplet(?:ed|ion)|exhausted|used up|(?:run|ran) out|too low"
        r"|not enough|not active|inactive|suspended|overdue|reach(?:ed|ing)|negative|no|zero|required"
        r"|(?:doesn't|does not|don't) have|check your plan)\b",
    )
    + "|"
    + _pair(
        r"余额|额度|配额|账户|账号|费用|帐户|资源包",
        r"不足|用尽|耗尽|用完|超出|超限|已用|欠费|充值|逾期|透支|冻结",
    )
    + "|"
    + _pair(r"今日|每日|每周|每月|套餐", r"限额|上限|到期|用完")
    + r"|欠费|请充值|payment required|recharge|\btop[ -]up\b"
)
_KEY_WORDS = (
    r"\b(?:api.?keys?|ak/sk|access.?(?:keys?|tokens?)|(?:auth(?:orization|entication)?|bearer) tokens?"
    r"|(?:secret|subscription).?keys?|credentials?|authorization header)(?![a-z])"
)
_KEY_NAMES = r"密钥|秘钥|令牌|api.?key|token|鉴权|认证|身份验证|authentication"
_NO_KEY = re.compile(
    _pair(
        _KEY_WORDS,
        r"\b(?:missing|not (?:provided|supplied|set|present|passed)|didn't provide|is required|are required"
        r"|must be provided)\b|\bno (?=api|token|auth|credential|key)",
    )
    + "|"
    + _pair(_KEY_NAMES, r"未提供|缺少|缺失|为空|未携带|未收到")
)
_EITHER = re.compile(r"\b(?:missing or (?:invalid|incorrect)|(?:invalid|incorrect) or missing)\b")
_KEY = re.compile(
    _pair(
        _KEY_WORDS,
        r"\b(?:invalid|incorrect|wrong|not valid|no longer valid|unknown|not (?:found|recogni[sz]ed|correct)"
        r"|does(?:n't| not) (?:exist|match)|malformed|revoked|expired|deleted"
        r"|disabled|unauthori[sz]ed|rejected|is valid|illegal)\b",
    )
    + r"|\binvalid authentication\b"
    + r"|\b(?:authentication|authorization|login|signature) (?:failed|failure|fails?|error)\b"
    + "|"
    + _pair(_KEY_NAMES, r"无效|错误|不存在|失败|失效|过期|非法|不正确|有误|不合法|未通过|禁用")
)
_REGION = re.compile(
    _pair(
        r"\b(?:countr(?:y|ies)|regions?|territor(?:y|ies)|location|sanction(?:s|ed))\b",
        r"\b(?:not (?:supported|available|allowed|offered)|unsupported|unavailable"
        r"|restricted|blocked|forbidden|prohibited)\b",
    )
    + "|"
    + _pair(r"地区|国家|区域", r"不支持|不可用|限制|禁止|未开放")
)
_ACCOUNT = re.compile(
    _pair(
        r"\b(?:accounts?|organi[sz]ation|workspace|user)\b",
        r"\b(?:suspended|disabled|deactivated|banned|blocked|on hold|locked|terminated)\b",
    )
    + "|"
    + _pair(r"账户|帐户|账号|用户|组织", r"封禁|停用|禁用|注销|锁定|违规")
)
_PERMISSION = re.compile(
    r"\b(?:access denied|permission denied|not (?:permitted|authori[sz]ed) to"
    r"|(?:no|insufficient|lacks?|missing) permissions?|do(?:es)?(?:n't| not) have (?:access|permission))\b"
    r"|(?:无|没有|缺少)权限|权限不足|无权"
)

# A sentence about a short time is about the rate, even if it also mentions money.
_SENTENCES = (
    (Meaning.RATE, _RATE),
    (Meaning.MONEY, _MONEY),
    (Meaning.NO_KEY, _NO_KEY),
    (Meaning.KEY, _KEY),
    (Meaning.REGION, _REGION),
    (Meaning.ACCOUNT, _ACCOUNT),
    (Meaning.PERMISSION, _PERMISSION),
)


def meaning(message: str, codes: frozenset[str]) -> Meaning | None:
    """The cause of an error; None if it is unclear.

    Args:
        message: the provider's message, in lower case.
        codes: its codes, in lower case.
    """
    for found, pattern in _CODES:
        if found is Meaning.KEY and (_MONEY.search(message) or _NO_KEY.search(message)):
            # Types such as authentication_error have several causes, and the sentence tells them apart.
            continue
        if any(pattern.search(code) for code in codes if len(code) <= 80):
            return found
    for found, pattern in _SENTENCES:
        if pattern.search(message) and not (found is Meaning.NO_KEY and _EITHER.search(message)):
            return found
    return None
