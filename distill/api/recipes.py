"""Recipes: every version as JSON and YAML, and a new one."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill.api.endpoints import (
    ApiView,
    InputSerializer,
    PageQuery,
    answer_page,
    keyset,
    operation,
    page_of,
    read,
)
from distill.api.permissions import LEADS
from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import InputError
from distill.logic.panel import warnings
from distill.logic.recipe import dump_recipe, load_recipe
from distill.models import Recipe
from distill.services.recipes import save_recipe

TAG = "recipes"


class RecipeSerializer(serializers.ModelSerializer):
    class Meta:
        model = Recipe
        fields: tuple[str, ...] = ("id", "name", "version", "sha256", "created_at")


class RecipeDetailSerializer(RecipeSerializer):
    document = serializers.DictField()
    warnings = serializers.SerializerMethodField(
        help_text="What speaks against it, such as a judge that scores its own answers."
    )

    class Meta(RecipeSerializer.Meta):
        fields: tuple[str, ...] = (*RecipeSerializer.Meta.fields, "document", "warnings")

    def get_warnings(self, recipe: Recipe) -> list[str]:
        return list(warnings(recipe.content))


class RecipeQuery(PageQuery):
    name = serializers.CharField(required=False, max_length=100)


class RecipeInput(InputSerializer):
    yaml = serializers.CharField(
        max_length=MAX_CHARS,
        trim_whitespace=False,
        help_text="The whole recipe; its `name` decides whose version it is, what is left out has "
        "its default.",
    )


class RecipesView(ApiView):
    roles = {"GET": LEADS, "POST": LEADS}

    @operation(
        "list_recipes",
        "Every version of every recipe, the newest first",
        tag=TAG,
        answers={200: page_of(RecipeSerializer)},
        errors=[400],
        query=RecipeQuery,
    )
    def get(self, request: Request) -> Response:
        asked = read(RecipeQuery, request.query_params)
        versions = Recipe.objects.defer("document")
        if "name" in asked:
            versions = versions.filter(name=asked["name"])
        return answer_page(request, keyset(versions, asked), RecipeSerializer)

    @operation(
        "create_recipe",
        "Save a recipe as a new version",
        description="A version never changes. The same content again gives the version that holds "
        "it: 200.",
        tag=TAG,
        body=RecipeInput,
        answers={201: RecipeDetailSerializer, 200: RecipeDetailSerializer},
        errors=[400, 409],
        examples={
            "The default, under another name": {
                "yaml": "name: my-recipe\nteacher:\n  name: offline:extractive\n"
            }
        },
    )
    def post(self, request: Request) -> Response:
        given = read(RecipeInput, request.data)
        try:
            content = load_recipe(given["yaml"])
        except InputError as error:
            raise serializers.ValidationError({"yaml": str(error).splitlines()}) from error
        newest = Recipe.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        saved = save_recipe(content=content, user=request.user)
        status = 201 if saved.pk > newest else 200
        return Response(RecipeDetailSerializer(saved).data, status=status)


class RecipeView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_recipe",
        "One version of a recipe as JSON",
        tag=TAG,
        answers={200: RecipeDetailSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(RecipeDetailSerializer(get_object_or_404(Recipe, pk=pk)).data)


class RecipeYamlView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_recipe_yaml",
        "One version of a recipe as YAML",
        description="What `create_recipe` takes back unchanged.",
        tag=TAG,
        answers={(200, "application/yaml"): OpenApiResponse(OpenApiTypes.STR)},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        found = get_object_or_404(Recipe, pk=pk)
        return HttpResponse(
            dump_recipe(found.content), content_type="application/yaml; charset=utf-8"
        )
