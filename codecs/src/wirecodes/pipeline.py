"""Several codecs as one: `huffman+base64` encodes with huffman, then base64, and decodes backwards.

An option goes to every stage that knows it; one that no stage knows is an error. `max_output` bounds each
stage by itself: a stage in the middle may not swell either. An error's position is one in the input of the
stage that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wirecodes.codec import Codec, Medium
from wirecodes.coder import Chain, Coder
from wirecodes.errors import OptionError
from wirecodes.options import Direction, Option, plain_name, require_one_spelling

#: No use for more is known, and each stage costs memory and time.
MAX_STAGES = 8


class Pipeline(Codec):
    """Codecs one after another."""

    kind = "pipeline"

    def __init__(self, stages: Sequence[Codec]) -> None:
        self._stages = tuple(stages)
        self.name = "+".join(stage.name for stage in stages)
        self.title = " + ".join(stage.title for stage in stages)
        self.input = stages[0].input
        self.output = stages[-1].output
        self.description = f"{self.title}, one after another; decoding runs backwards."
        self.options = tuple({option.name: option for stage in stages for option in stage.options}.values())

    def encoder(self, /, **options: object) -> Coder:
        return self.bounded_encoder(None, **options)

    def bounded_encoder(self, max_output: int | None, /, **options: object) -> Coder:
        shares = self._shares("encode", options)
        return Chain(
            [
                (stage.name, stage.bounded_encoder(max_output, **share))
                for stage, share in zip(self._stages, shares, strict=True)
            ]
        )

    def decoder(self, /, *, max_output: int | None = None, **options: object) -> Coder:
        shares = self._shares("decode", options)
        stages = [
            (stage.name, stage.decoder(max_output=max_output, **share))
            for stage, share in zip(self._stages, shares, strict=True)
        ]
        return Chain(stages[::-1])

    def produces(self, direction: Direction, /, **options: object) -> Medium:
        shares = self._shares(direction, options)
        media = [
            stage.produces(direction, **share) for stage, share in zip(self._stages, shares, strict=True)
        ]
        return media[-1 if direction == "encode" else 0]

    def media_type(self, direction: Direction, /, **options: object) -> str:
        which = -1 if direction == "encode" else 0
        return self._stages[which].media_type(direction, **self._shares(direction, options)[which])

    def memory(self, direction: Direction, /, **options: object) -> int:
        shares = self._shares(direction, options)
        return sum(
            stage.memory(direction, **share) for stage, share in zip(self._stages, shares, strict=True)
        )

    def _shares(self, direction: Direction, options: Mapping[str, object]) -> list[dict[str, object]]:
        """What each stage gets of `options`."""
        taken = [_names(stage.options, direction) for stage in self._stages]
        require_one_spelling(options)
        known = tuple(dict.fromkeys(name for names in taken for name in names))
        for spelled in options:
            if plain_name(spelled) not in known:
                raise OptionError(
                    plain_name(spelled), f"unknown here; known: {', '.join(known) or 'none'}", known
                )
        return [{key: value for key, value in options.items() if plain_name(key) in names} for names in taken]


def _names(options: Sequence[Option], direction: Direction) -> list[str]:
    return [option.name for option in options if option.applies(direction)]
