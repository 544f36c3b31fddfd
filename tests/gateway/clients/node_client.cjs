// The npm package `openai`, as published: does the steps that it is given as JSON, and prints what came of each.
const { readFileSync } = require("node:fs");
const OpenAI = require("openai");

const TOOL = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather at a place.",
    parameters: { type: "object", properties: { place: { type: "string" } } },
  },
};
let sent = 0;

// The fetch only counts what goes out, repetitions included.
const connected = (task, step) =>
  new OpenAI({
    apiKey: step.key,
    baseURL: step.base_url,
    timeout: 60_000,
    fetch: (url, init) => {
      sent += 1;
      return fetch(url, init);
    },
    ...task.options,
  });

const messages = (step) => [{ role: "user", content: step.say }];

const opened = (client, step) =>
  client.chat.completions
    .create({
      model: step.model,
      messages: messages(step),
      stream: true,
      stream_options: { include_usage: true },
    })
    .withResponse();

const STEPS = {
  async chat(client, step) {
    const answer = await client.chat.completions.create({ model: step.model, messages: messages(step) });
    return {
      call_id: answer._request_id,
      text: answer.choices[0].message.content,
      usage: answer.usage,
      model: answer.model,
    };
  },

  async stream(client, step) {
    const { data, request_id } = await opened(client, step);
    let text = "", usage = null, parts = 0;
    for await (const part of data) {
      parts += 1;
      text += part.choices[0]?.delta?.content ?? "";
      usage = part.usage ?? usage;
    }
    return { call_id: request_id, text, usage, parts };
  },

  // Hangs up in mid-stream.
  async leave(client, step) {
    const { data, request_id } = await opened(client, step);
    let parts = 0;
    for await (const _ of data) {
      parts += 1;
      if (parts === 3) data.controller.abort();
    }
    return { call_id: request_id, parts };
  },

  async tool(client, step) {
    const answer = await client.chat.completions.create({
      model: step.model,
      messages: messages(step),
      tools: [TOOL],
    });
    const called = answer.choices[0].message.tool_calls[0].function;
    return {
      call_id: answer._request_id,
      tool: [called.name, JSON.parse(called.arguments)],
      finish: answer.choices[0].finish_reason,
      usage: answer.usage,
    };
  },

  async models(client) {
    const found = [];
    for await (const model of client.models.list()) found.push(model.id);
    return { models: found };
  },
};

async function main() {
  const task = JSON.parse(readFileSync(0, "utf8"));
  const told = [];
  for (const step of task.steps) {
    sent = 0;
    let found;
    try {
      found = await STEPS[step.do](connected(task, step), step);
    } catch (error) {
      if (!(error instanceof OpenAI.APIError)) throw error;
      const { status, code, type, message } = error;
      found = { error: [error.constructor.name], status, code, type, message, call_id: error.requestID };
    }
    told.push({ ...found, sent });
  }
  console.log(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
