// Asks with the official package of a dialect, made once and with its defaults; a question for each line on
// standard input. Tells what came as a line of JSON, and how many requests the package sent for it.
import { createInterface } from "node:readline";

let requests = 0;
const send = globalThis.fetch;
globalThis.fetch = (...what) => {
  requests += 1;
  return send(...what);
};

const model = process.env.ASKED_MODEL;
const messages = [{ role: "user", content: "hello" }];

const packages = {
  async openai() {
    const { default: OpenAI } = await import("openai");
    const sdk = new OpenAI();
    return async (stream) => {
      const done = await sdk.chat.completions.create({ model, messages, stream });
      if (!stream) return done.choices[0].message.content;
      let text = "";
      for await (const part of done) text += part.choices[0]?.delta?.content ?? "";
      return text;
    };
  },
  async anthropic() {
    const { default: Anthropic } = await import("@anthropic-ai/sdk");
    const sdk = new Anthropic();
    return async (stream) => {
      const question = { model, max_tokens: 9, messages };
      if (!stream) return (await sdk.messages.create(question)).content[0].text;
      return await sdk.messages.stream(question).finalText();
    };
  },
  async google() {
    const { GoogleGenAI } = await import("@google/genai");
    const sdk = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
    return async (stream) => {
      const question = { model, contents: "hello" };
      if (!stream) return (await sdk.models.generateContent(question)).text;
      let text = "";
      for await (const part of await sdk.models.generateContentStream(question)) text += part.text ?? "";
      return text;
    };
  },
  async ollama() {
    // The only one that reads no variable: its documentation has the host as an argument.
    const { Ollama } = await import("ollama");
    const sdk = new Ollama({
      host: process.env.OLLAMA_HOST,
      headers: { Authorization: `Bearer ${process.env.OLLAMA_API_KEY}` },
    });
    return async (stream) => {
      const done = await sdk.chat({ model, messages, stream });
      if (!stream) return done.message.content;
      let text = "";
      for await (const part of done) text += part.message.content;
      return text;
    };
  },
};

const ask = await packages[process.argv[2]]();
for await (const line of createInterface({ input: process.stdin })) {
  requests = 0;
  try {
    const text = await ask(line === "stream");
    console.log(JSON.stringify({ text, requests }));
  } catch (error) {
    const status = error.status ?? error.status_code ?? null;
    console.log(JSON.stringify({ error: error.constructor.name, status, message: error.message, requests }));
  }
}
