"""The forms of an export, held field by field to what the programs that read them document."""

from __future__ import annotations

import pyarrow as pa
import pytest

from distill.logic.errors import InputError
from distill.logic.export_snippets import load_snippet
from distill.logic.sft import MESSAGES, SFT_SCHEMA
from distill.logic.sft_configs import CONFIGS, chosen_configs, dataset_info, preference_row
from tests.logic.test_sft import row

STRING = pa.string()


def converted(config, **change):
    return CONFIGS[config].convert(row(**change))


def file(name, config, split="train", rows=3):
    return {"name": name, "config": config, "split": split, "rows": rows}


@pytest.mark.parametrize("config", ["messages", "prompt_completion", "alpaca"])
def test_a_row_has_the_columns_of_its_config_in_their_order(config):
    assert list(converted(config)) == CONFIGS[config].schema.names


def test_a_pair_and_a_rejected_row_have_theirs():
    pair = preference_row(row(), row(), pair_source="attempt")
    assert list(pair) == CONFIGS["preference"].schema.names
    assert CONFIGS["rejected"].schema.names[: len(SFT_SCHEMA)] == SFT_SCHEMA.names


def test_trl_finds_the_conversational_columns_that_it_documents():
    """https://huggingface.co/docs/trl/dataset_formats: `messages`; `prompt` and `completion`; `prompt`,
    `chosen` and `rejected`: each a list of messages of role and content, the prompt said apart.
    """
    columns = {
        "messages": ["messages"],
        "prompt_completion": ["prompt", "completion"],
        "preference": ["prompt", "chosen", "rejected"],
    }
    for config, names in columns.items():
        for name in names:
            assert CONFIGS[config].schema.field(name).type == MESSAGES, (config, name)
    assert pa.list_(pa.struct([("role", STRING), ("content", STRING)])) == MESSAGES
    found = converted("prompt_completion")
    assert [one["role"] for one in found["prompt"]] == ["system", "user"]
    assert [one["role"] for one in found["completion"]] == ["assistant"]
    assert found["prompt"] + found["completion"] == row()["messages"]


def test_axolotl_finds_a_chat_template_dataset():
    """https://docs.axolotl.ai/docs/dataset-formats/conversation.html: `type: chat_template` reads a
    list of objects with `role` and `content` from `field_messages` (default `messages`), the
    OpenAI form with system, user and assistant; other names need `message_property_mappings`.
    """
    found = converted("messages")
    assert [set(message) for message in found["messages"]] == [{"role", "content"}] * 3
    assert {message["role"] for message in found["messages"]} == {"system", "user", "assistant"}
    snippet = load_snippet("messages", dataset="soils")
    assert "type: chat_template" in snippet
    assert "field_messages: messages" in snippet


def test_llama_factory_finds_its_alpaca_columns():
    """https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md: `instruction` and `input`
    are joined by a line break into the question, `output` is the answer, `system` the system
    prompt, `history` pairs of texts; columns prompt, query, response, system, history name them.
    """
    found = converted("alpaca")
    assert found["instruction"] == "Why?"
    assert found["input"] == ""
    assert found["output"] == row()["messages"][-1]["content"]
    assert found["system"] == "Be exact."
    assert found["history"] == []
    assert CONFIGS["alpaca"].schema.field("history").type == pa.list_(pa.list_(STRING))
    assert converted("alpaca", include_system=False)["system"] == ""
    info = dataset_info("soils", [file("alpaca/train.jsonl", "alpaca")])
    assert info == {
        "soils_alpaca_train": {
            "file_name": "alpaca/train.jsonl",
            "formatting": "alpaca",
            "columns": {
                "prompt": "instruction",
                "query": "input",
                "response": "output",
                "system": "system",
                "history": "history",
            },
        }
    }
    assert set(info["soils_alpaca_train"]["columns"].values()) <= set(found)


def test_llama_factory_finds_the_chats_as_sharegpt_with_openai_tags():
    """The same page, “OpenAI Format”: `formatting` sharegpt, `columns.messages`, and the tags that
    stand for the default from, value, human, gpt.
    """
    info = dataset_info("soils", [file("train.jsonl", "messages")])
    assert info == {
        "soils_messages_train": {
            "file_name": "train.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
    }


def test_llama_factory_is_told_of_no_file_that_it_cannot_load():
    files = [
        file("test.jsonl", "messages", "test", rows=0),
        file("data/train-00000-of-00001.parquet", "messages"),
        file("preference/train.jsonl", "preference"),
    ]
    assert dataset_info("soils", files) == {}


def test_a_pair_tells_where_it_is_from():
    chosen, rejected = row(completion_id="c2"), row(mean_score=0.1)
    pair = preference_row(chosen, rejected, pair_source="attempt")
    assert (pair["chosen_id"], pair["rejected_id"]) == ("c2", "c1")
    assert (pair["chosen_score"], pair["rejected_score"]) == (0.75, 0.1)
    assert pair["rejected_reasons"] == ["citation"]
    assert preference_row(chosen, rejected, pair_source="edit")["chosen_score"] is None


def test_messages_are_always_written_and_no_name_means_all():
    assert chosen_configs([]) == tuple(CONFIGS)
    assert chosen_configs(["rejected", "alpaca"]) == ("messages", "alpaca", "rejected")
    with pytest.raises(InputError, match="no config 'chatml' of an export; known are messages"):
        chosen_configs(["chatml"])
