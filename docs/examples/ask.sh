#!/bin/sh
# Asks one question of the connection that the present directory gets: ./ask.sh "QUESTION"
#
# For an OpenAI-compatible endpoint. The key is never an argument of a program, because everybody on the
# computer can read those: curl gets it through standard input.
set -eu

connection=$(nexoctl resolve --workspace . --format json)
field() { printf '%s' "$connection" | jq --raw-output ".$1"; }

body=$(jq --null-input --arg model "$(field model)" --arg question "$1" \
    '{model: $model, messages: [{role: "user", content: $question}]}')

printf 'header = "Authorization: Bearer %s"\n' "$(field api_key)" |
    curl --silent --show-error --fail --config - --header 'Content-Type: application/json' \
        --data "$body" "$(field base_url)/chat/completions" |
    jq --raw-output '.choices[0].message.content'
