"""Asks a question for each line of standard input with LangChain, through a model that was made once."""

import os
import sys

model = os.environ["ASKED_MODEL"]
match sys.argv[1]:
    case "openai":
        from langchain_openai import ChatOpenAI

        chat = ChatOpenAI(model=model)
    case "anthropic":
        from langchain_anthropic import ChatAnthropic

        chat = ChatAnthropic(model=model)
    case "google":
        from langchain_google_genai import ChatGoogleGenerativeAI

        chat = ChatGoogleGenerativeAI(model=model)
    case "ollama":
        from langchain_ollama import ChatOllama

        chat = ChatOllama(model=model, base_url=os.environ["OLLAMA_HOST"])

for line in sys.stdin:
    try:
        print("ANSWER", "".join(str(part.text) for part in chat.stream(line.strip())), flush=True)
    except Exception as error:  # noqa: BLE001 - whatever a person would see
        print("ERROR", repr(error)[:2000].replace("\n", " "), flush=True)
