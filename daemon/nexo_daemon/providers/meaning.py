"""Money, rate or key? What the words and codes of an error mean, whatever its status. Pure.

Providers send the same refusal as 400, 401, 402, 403, 412, 429, or inside of a 200, in English or Chinese. So
a code or a sentence is read as *what* is concerned and *what is the matter* with it; neither alone means
anything ("your plan", "invalid"). Codes speak before sentences.
"""

import enum
import re


class Meaning(enum.Enum):
    """What an error is about."""

    MONEY = "the account has no credit, or its limit is reached"
    RATE = "too many requests or tokens in a short time"
    KEY = "the key is not accepted"


_CODES = (
    (
        Meaning.RATE,
        re.compile(
            r"rate_?limit|too_?many_?requests|throttl|per_?(?:minute|second)|concurren|limit_?burst|qps"
        ),
    ),
    (
        Meaning.MONEY,
        re.compile(
            r"billing|arrear|overdue|insufficient_?(?:user_?)?(?:quota|balance|credit|fund)|no_?(?:credit|balance)"
            r"|(?:budget|quota|spend(?:ing)?_?limit|credits?)_?(?:exceed|exhaust|deplet|reached)"
            r"|exceed(?:ed)?_?(?:current_?)?(?:quota|budget)|payment_?required|budgetexceeded"
        ),
    ),
    (
        Meaning.KEY,
        re.compile(
            r"(?:invalid|incorrect|wrong|unknown|expired|revoked)_?(?:api_?key|access_?(?:key|token)|credential)"
            r"|(?:api_?key|token)_?(?:invalid|not_?found|expired|revoked)|unauthenticated"
            r"|auth(?:entication|orization)?_?(?:fail|error|denied)"
        ),
    ),
)

_GAP = r"[^.!?。！？\n]{0,80}"


def _pair(subject: str, matter: str) -> str:
    """Both in one sentence, in either order."""
    return rf"(?:{subject}){_GAP}(?:{matter})|(?:{matter}){_GAP}(?:{subject})"


_RATE = re.compile(
    r"\b(?:rate.?limit|too many (?:requests|tokens)|too frequent|requests? per (?:second|minute)"
    r"|tokens? per (?:second|minute)|throttl|concurren|(?:retry|try again) (?:in|after) \d{1,3}(?:\.\d+)? ?s)"
    r"|限流|频率|频繁|速率|并发|每分钟|每秒"
)
_MONEY = re.compile(
    _pair(
        r"\b(?:balance|credits?|quota|billing|spend(?:ing)?(?: limit)?|budget|funds|prepa(?:id|yment)|payment"
        r"|licen[sc]es?)\b",
        r"\b(?:insufficient|exceed(?:ed|s)?|deplet(?:ed|ion)|exhausted|used up|(?:run|ran) out|too low"
        r"|not enough|not active|inactive|suspended|overdue|reach(?:ed|ing)|negative|no|zero|required"
        r"|(?:doesn't|does not|don't) have|check your plan)\b",
    )
    + "|"
    + _pair(r"余额|额度|配额|账户|账号|费用|帐户", r"不足|用尽|耗尽|用完|超出|欠费|充值|停用|逾期|透支")
    + r"|欠费|请充值|payment required|recharge"
)
_KEY = re.compile(
    _pair(
        r"\b(?:api.?keys?|access.?(?:keys?|tokens?)|(?:auth(?:orization)?|bearer) tokens?|credentials?)\b",
        r"\b(?:invalid|incorrect|wrong|not valid|unknown|not found|does not exist|malformed|revoked|expired"
        r"|disabled|unauthori[sz]ed|rejected|is valid|illegal)\b",
    )
    + r"|\b(?:authentication|authorization|login|signature) (?:failed|failure|fail|error)\b"
    + "|"
    + _pair(r"密钥|令牌|api.?key|token|鉴权|认证|身份验证", r"无效|错误|不存在|失败|过期|非法|不正确")
)

# What is said about a short time is no lasting want of money, whatever else the sentence says.
_SENTENCES = ((Meaning.RATE, _RATE), (Meaning.MONEY, _MONEY), (Meaning.KEY, _KEY))


def meaning(message: str, codes: frozenset[str]) -> Meaning | None:
    """What an error is about; None where it does not say.

    Args:
        message: the provider's words, lower case.
        codes: its codes, lower case.
    """
    for found, pattern in _CODES:
        if any(pattern.search(code) for code in codes if len(code) <= 80):
            return found
    for found, pattern in _SENTENCES:
        if pattern.search(message):
            return found
    return None
