from fastapi import APIRouter
def page_routes(service, openapi): return APIRouter()
