"""How well a track fits what charts: profiles, alignment, momentum of artists, the supervised likelihood, and the back-test of them all.

Trends of whole charts are SQL (`sql/models/marts/chart_trends.sql` and its neighbours); here is what SQL cannot say well.
"""
