"""Where the account API answers."""

from django.urls import path

from logs.account_api import key_views, log_views, person_views, staff_views, task_views

urlpatterns = [
    path("api/user/self", person_views.profile),
    path("api/user/self/stats", person_views.stats),
    path("api/token/", key_views.own_keys),
    path("api/token/search", key_views.search),
    path("api/log/self", log_views.mine),
    path("api/log/self/search", log_views.my_search),
    path("api/log/self/stat", log_views.my_stat),
    path("api/log/self/export", log_views.my_export),
    path("api/task/self", task_views.mine),
    path("api/log/", staff_views.logs),
    path("api/log/stat", staff_views.log_stat),
    path("api/user/topup", staff_views.top_ups),
    path("api/user/<int:user_id>", staff_views.person),
    path("api/data/", staff_views.usage_data),
]
